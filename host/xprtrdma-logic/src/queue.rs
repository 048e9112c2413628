// SPDX-License-Identifier: GPL-2.0

//! Random operations on a ring, compared with a queue.
//!
//! Among the completions are those of Sends that have ended already, of contexts in which nothing
//! was posted, and of contexts of another ring: nothing is released for them, and no context is
//! looked at that is not with the device.

use proptest::prelude::*;

use crate::reference::{Op, Rig};

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Get),
        5 => Just(Op::Post),
        2 => (0..20usize).prop_map(Op::Unget),
        4 => (0..20usize).prop_map(Op::Put),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn ring_is_a_queue(
        contexts in 0..18usize,
        ops in proptest::collection::vec(op(), 0..200),
    ) {
        let mut rig = Rig::new(contexts);
        for op in ops {
            rig.step(op);
        }
        rig.close();
    }
}

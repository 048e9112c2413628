// SPDX-License-Identifier: GPL-2.0

//! Random operations on the gates of a local port and two remote ports, compared with numbers, also
//! while a callback runs.

use proptest::prelude::*;

use crate::reference::{all_ops, Op, Rig};

fn op() -> impl Strategy<Value = Op> {
    proptest::sample::select(all_ops())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn gates_count(steps in proptest::collection::vec((op(), proptest::option::of(op())), 0..200)) {
        let rig = Rig::new();
        let rig = rig.start();
        for (op, nested) in steps {
            rig.step_with(op, nested);
        }
        rig.drain();
    }
}

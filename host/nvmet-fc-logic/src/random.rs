// SPDX-License-Identifier: GPL-2.0

//! Random operations on queues of any size, compared with lists.

use proptest::prelude::*;

use crate::reference::{Op, Rig, ENDINGS};

fn op(jobs: usize) -> impl Strategy<Value = Op> {
    let job = || 0..jobs;
    prop_oneof![
        8 => Just(Op::Receive),
        5 => job().prop_map(Op::Finish),
        5 => job().prop_map(Op::Work),
        2 => job().prop_map(Op::AbortInJob),
        2 => (0..jobs).prop_map(Op::AbortWaiting),
        1 => Just(Op::AbortEnded),
    ]
}

fn history() -> impl Strategy<Value = (usize, usize, Vec<Op>, usize)> {
    (1..9usize, 0..9usize).prop_flat_map(|(jobs, slots)| {
        let ops = proptest::collection::vec(op(jobs), 0..200);
        (Just(jobs), Just(slots), ops, 0..400usize)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// In half of them the queue is deleted in between.
    #[test]
    fn queue_is_lists(
        (jobs, slots, mut ops, delete) in history(),
        ending in proptest::sample::select(ENDINGS.to_vec()),
    ) {
        if delete < ops.len() {
            ops.insert(delete, Op::Delete);
        }
        let mut rig = Rig::new(jobs, slots, ops.len());
        for op in ops {
            rig.step(op);
        }
        rig.end(ending);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! ABTS for commands in all states.

use kernel::sync::atomic::Relaxed;

use super::{
    common::{
        check,
        check_eq,
        with_queue,
        Answer, //
    },
    ext::kunit::suite, //
};

const JOBS: usize = 3;

fn what_waits_is_given_back() {
    with_queue(JOBS, JOBS, 2 * JOBS + 1, |queue| {
        for id in 0..2 * JOBS {
            let _ = queue.receive(id);
        }
        queue.abort(JOBS + 1);
        check_eq!(queue.history(JOBS + 1), (1, 1, 0));
        check_eq!(queue.executed(JOBS + 1), 0);
        // There is room again, and the order of the others is kept.
        check_eq!(queue.receive(2 * JOBS), Answer::Deferred);
        for id in [JOBS, JOBS + 2, 2 * JOBS] {
            check!(queue.finish());
            check_eq!(queue.history(id), (1, 0, 0));
        }
        queue.drain();
        queue.check_settled(2 * JOBS + 1);
    });
}

fn what_was_promoted_does_not_begin() {
    with_queue(1, 1, 2, |queue| {
        check_eq!(queue.receive(0), Answer::Accepted);
        check_eq!(queue.receive(1), Answer::Deferred);
        check!(queue.finish());
        queue.abort(1);
        check_eq!(queue.history(1), (1, 0, 0));
        check!(queue.work());
        // The initiator has aborted it: the target does not.
        check_eq!(queue.history(1), (1, 1, 0));
        check_eq!(queue.executed(1), 0);
        check_eq!(queue.counts().idle, 1);
        queue.check_settled(2);
    });
}

fn what_is_executed_is_told_to_end() {
    with_queue(JOBS, 0, JOBS, |queue| {
        for id in 0..JOBS {
            let _ = queue.receive(id);
        }
        queue.abort(1);
        for id in 0..JOBS {
            check_eq!(
                queue.exchanges[id].terminated.load(Relaxed),
                u32::from(id == 1)
            );
        }
        queue.drain();
        queue.check_settled(JOBS);
        check_eq!(queue.history(1), (0, 1, 0));
    });
}

fn what_has_ended_is_left_alone() {
    with_queue(1, 1, 2, |queue| {
        check_eq!(queue.receive(0), Answer::Accepted);
        check_eq!(queue.receive(1), Answer::Deferred);
        check!(queue.finish());
        // Its job has the next command.
        queue.abort(0);
        check!(queue.work());
        check_eq!(queue.exchanges[1].terminated.load(Relaxed), 0);
        check_eq!(queue.executed(1), 1);
        queue.drain();
        queue.abort(1);
        check_eq!(queue.history(0), (0, 1, 0));
        check_eq!(queue.history(1), (1, 1, 0));
    });
}

fn twice_is_once() {
    with_queue(1, 1, 2, |queue| {
        let _ = queue.receive(0);
        let _ = queue.receive(1);
        for _ in 0..2 {
            queue.abort(1);
            check_eq!(queue.history(1), (1, 1, 0));
        }
        queue.drain();
        queue.check_settled(2);
    });
}

suite!(nvmet_fc_abort:
    what_waits_is_given_back,
    what_was_promoted_does_not_begin,
    what_is_executed_is_told_to_end,
    what_has_ended_is_left_alone,
    twice_is_once,
);

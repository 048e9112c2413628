// SPDX-License-Identifier: GPL-2.0

//! Queues that are deleted.

use kernel::sync::atomic::Relaxed;

use super::{
    common::{
        check,
        check_eq,
        with_queue,
        Answer, //
    },
    ext::kunit::suite,
    logic::operations::close, //
};

const JOBS: usize = 3;

fn gives_back_what_waits() {
    with_queue(JOBS, JOBS, 2 * JOBS, |queue| {
        for id in 0..2 * JOBS {
            let _ = queue.receive(id);
        }
        check!(close(&**queue));
        for id in 0..JOBS {
            check_eq!(queue.history(id), (0, 0, 0));
            check_eq!(queue.exchanges[id].terminated.load(Relaxed), 1);
        }
        for id in JOBS..2 * JOBS {
            check_eq!(queue.history(id), (1, 1, 1));
            check_eq!(queue.executed(id), 0);
        }
        queue.drain();
        queue.check_settled(2 * JOBS);
        check_eq!(queue.counts().idle, JOBS);
    });
}

fn what_was_promoted_is_given_back_unexecuted() {
    with_queue(1, 1, 2, |queue| {
        check_eq!(queue.receive(0), Answer::Accepted);
        check_eq!(queue.receive(1), Answer::Deferred);
        check!(queue.finish());
        check!(close(&**queue));
        check_eq!(queue.history(1), (1, 0, 0));
        check!(queue.work());
        check_eq!(queue.history(1), (1, 1, 1));
        check_eq!(queue.executed(1), 0);
        queue.check_settled(2);
    });
}

fn an_abts_for_what_was_cancelled_changes_the_cause() {
    with_queue(1, 1, 2, |queue| {
        let _ = queue.receive(0);
        let _ = queue.receive(1);
        check!(queue.finish());
        check!(close(&**queue));
        queue.abort(1);
        check!(queue.work());
        check_eq!(queue.history(1), (1, 1, 0));
        queue.check_settled(2);
    });
}

/// From each state that a small queue can be in, as far as numbers go.
fn in_every_state() {
    let mut states = 0;
    for finished in 0..=2 * JOBS {
        for received in finished..=finished + 2 * JOBS {
            for begun in [false, true] {
                with_queue(JOBS, JOBS, 4 * JOBS + 1, |queue| {
                    let mut answers = [None; 4 * JOBS];
                    let mut ended = 0;
                    for (next, to) in answers[..received].iter_mut().enumerate() {
                        let answer = queue.receive(next);
                        *to = Some(answer);
                        if answer != Answer::Accepted && ended < finished {
                            while queue.work() {}
                            check!(queue.finish());
                            ended += 1;
                        }
                    }
                    if begun {
                        while queue.work() {}
                    }
                    check!(close(&**queue));
                    queue.drain();
                    for (exchange, answer) in queue.exchanges.iter().zip(answers) {
                        match answer {
                            Some(Answer::Accepted | Answer::Deferred) => {
                                check!(exchange.is_settled());
                            }
                            Some(Answer::Refused(_)) | None => {
                                check_eq!(exchange.history(), (0, 0, 0));
                                check_eq!(exchange.faults.load(Relaxed), 0);
                            }
                        }
                    }
                    let counts = queue.counts();
                    check_eq!((counts.idle, counts.waiting), (JOBS, 0));
                });
                states += 1;
            }
        }
    }
    // None was left out.
    check_eq!(states, 98);
}

suite!(nvmet_fc_close:
    gives_back_what_waits,
    what_was_promoted_is_given_back_unexecuted,
    an_abts_for_what_was_cancelled_changes_the_cause,
    in_every_state,
);

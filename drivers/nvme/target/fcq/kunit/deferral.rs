// SPDX-License-Identifier: GPL-2.0

//! Which commands get a job, which wait, and which are refused.

use super::{
    common::{
        check,
        check_eq,
        with_queue,
        Answer, //
    },
    ext::kunit::suite,
    logic::{
        operations::close,
        queue::Refusal, //
    }, //
};

const JOBS: usize = 4;

fn accepts_as_many_as_there_are_jobs() {
    with_queue(JOBS, JOBS, 3 * JOBS, |queue| {
        for id in 0..JOBS {
            check_eq!(queue.receive(id), Answer::Accepted);
            check_eq!(queue.counts().idle, JOBS - 1 - id);
        }
        for id in JOBS..2 * JOBS {
            check_eq!(queue.receive(id), Answer::Deferred);
            check_eq!(queue.history(id), (0, 0, 0));
        }
        for id in 2 * JOBS..3 * JOBS {
            check_eq!(queue.receive(id), Answer::Refused(Refusal::Full));
            check_eq!(queue.history(id), (0, 0, 0));
        }
        check_eq!(queue.counts().full, JOBS as u64);
        queue.drain();
        queue.check_settled(2 * JOBS);
        check_eq!((queue.counts().idle, queue.counts().waiting), (JOBS, 0));
    });
}

fn promotes_in_order() {
    with_queue(JOBS, JOBS, 2 * JOBS, |queue| {
        for id in 0..2 * JOBS {
            let _ = queue.receive(id);
        }
        for id in JOBS..2 * JOBS {
            check!(queue.finish());
            // The buffer was copied and given back; the command has not begun.
            check_eq!(queue.history(id), (1, 0, 0));
            check_eq!(queue.executed(id), 0);
            check_eq!(queue.history(id - JOBS), (0, 1, 0));
        }
        while queue.work() {}
        for id in JOBS..2 * JOBS {
            check_eq!(queue.executed(id), 1);
        }
        queue.drain();
        queue.check_settled(2 * JOBS);
    });
}

fn no_slots_no_deferral() {
    with_queue(JOBS, 0, JOBS + 2, |queue| {
        for id in 0..JOBS {
            check_eq!(queue.receive(id), Answer::Accepted);
        }
        check_eq!(queue.receive(JOBS), Answer::Refused(Refusal::NoDeferral));
        check!(queue.finish());
        check_eq!(queue.receive(JOBS + 1), Answer::Accepted);
        queue.drain();
        queue.check_settled(JOBS);
        check_eq!(queue.history(JOBS), (0, 0, 0));
        check_eq!(queue.history(JOBS + 1), (0, 1, 0));
    });
}

fn no_jobs_nothing() {
    for slots in [0, JOBS] {
        with_queue(0, slots, 1, |queue| {
            check!(matches!(queue.receive(0), Answer::Refused(_)));
            check!(!queue.finish() && !queue.work());
        });
    }
}

fn more_slots_than_jobs_are_not_used() {
    with_queue(2, 100, 5, |queue| {
        for id in 0..4 {
            let _ = queue.receive(id);
        }
        check_eq!(queue.receive(4), Answer::Refused(Refusal::Full));
        queue.drain();
        queue.check_settled(4);
    });
}

fn a_closed_queue_refuses() {
    with_queue(JOBS, JOBS, 2, |queue| {
        check!(close(&**queue));
        check!(!close(&**queue));
        check_eq!(queue.receive(0), Answer::Refused(Refusal::Closed));
        check_eq!(queue.history(0), (0, 0, 0));
    });
}

fn a_queue_of_the_largest_size() {
    let jobs = usize::from(u16::MAX);
    with_queue(jobs, jobs, 4, |queue| {
        for id in 0..4 {
            check_eq!(queue.receive(id), Answer::Accepted);
        }
        check_eq!(queue.counts().idle, jobs - 4);
        queue.drain();
        queue.check_settled(4);
        check_eq!(queue.counts().idle, jobs);
    });
}

suite!(nvmet_fc_deferral:
    accepts_as_many_as_there_are_jobs,
    promotes_in_order,
    no_slots_no_deferral,
    no_jobs_nothing,
    more_slots_than_jobs_are_not_used,
    a_closed_queue_refuses,
    a_queue_of_the_largest_size,
);

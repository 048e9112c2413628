// SPDX-License-Identifier: GPL-2.0

//! Two threads find at the same time that a connection has failed.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    time::msecs_to_jiffies, //
};

use super::{
    common::check,
    ext::{
        completion::Completion,
        kunit::suite,
        work::{
            Work,
            WorkItem, //
        },
    },
    logic::{
        failure::{
            is_news,
            Failure, //
        },
        state::Link, //
    },
};

/// How often it is tried.
const ROUNDS: usize = 200;

/// Longest wait for the other thread.
const PATIENCE_MS: u32 = 60_000;

#[pin_data]
struct Race {
    failure: Failure,
    told: Atomic<u32>,
    #[pin]
    done: Completion,
}

impl Race {
    fn find_out(&self) {
        if self.failure.is_first() {
            self.told.fetch_add(1, Relaxed);
        }
    }
}

impl WorkItem for Race {
    fn run(this: ArcBorrow<'_, Self>) {
        this.find_out();
        this.done.complete_all();
    }
}

fn is_told_once() {
    for _ in 0..ROUNDS {
        let race = Arc::pin_init(
            pin_init!(Race {
                failure: Failure::new(),
                told: Atomic::new(0),
                done <- Completion::new(),
            }),
            GFP_KERNEL,
        );
        check!(race.is_ok());
        let Ok(race) = race else { return };
        let work = Work::new(race.clone());
        check!(work.is_ok());
        let Ok(work) = work else { return };
        work.queue(0);
        race.find_out();
        let waited = race
            .done
            .wait_killable_timeout(msecs_to_jiffies(PATIENCE_MS));
        check!(waited.is_ok());
        drop(work);
        check!(race.told.load(Relaxed) == 1);
        check!(!race.failure.is_first());
    }
}

fn is_told_of_what_is_up() {
    check!(is_news(Link::Up));
    for link in [Link::Idle, Link::Pending, Link::Terminating, Link::Down] {
        check!(!is_news(link));
    }
}

suite!(iser_conn_failure:
    is_told_once,
    is_told_of_what_is_up,
);

// SPDX-License-Identifier: GPL-2.0

//! What kernel and user space share without a lock: the ring, `cmd_head` and `cmd_tail`.
//!
//! Loom runs the engine against a user space in a second thread, in every order and with every value
//! that the memory model lets a load return: an entry is complete once the head covers it, and a
//! response once the tail does. That rests on the order in which the engine goes to the shared memory
//! and on what [`RingIo`] promises of head and tail; without either promise a stale value is found.

use super::command::{Ledger, Reply, Request, TestCommand, TestCompleter};
use super::TestEngine;
use crate::logic::alloc::NoMemory;
use crate::logic::data_area::Blocks;
use crate::logic::engine::{Config, Engine};
use crate::logic::ops::{
    DataIo,
    Direction,
    RingIo, //
};
use loom::sync::Arc;
use loom::thread;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use sync::loom::atomic::ordering::{AcquireOrRelaxed, ReleaseOrRelaxed};
use sync::loom::atomic::{Acquire, Atomic, Relaxed, Release};

/// Size of a command entry without data and with a CDB of 6 bytes.
const ENTRY: u32 = 120;

const CONFIG: Config = Config {
    ring_size: 2 * ENTRY + 8,
    blocks: 1,
    block_size: 64,
};

/// A SAM status that no memory has by accident.
const STATUS: u8 = 0x55;

/// What is mapped.
struct Shared {
    words: Vec<Atomic<u64>>,
    head: Atomic<u32>,
    tail: Atomic<u32>,
}

/// What the engine works on; `publish` and `tail` are how head and tail are accessed.
struct LoomHost<P, T> {
    shared: Arc<Shared>,
    publish: P,
    tail: T,
}

impl<P: ReleaseOrRelaxed + Copy, T: AcquireOrRelaxed + Copy> RingIo for LoomHost<P, T> {
    fn read_word(&self, offset: u32) -> u64 {
        self.shared.words[offset as usize / 8].load(Relaxed)
    }

    fn write_word(&mut self, offset: u32, value: u64) {
        self.shared.words[offset as usize / 8].store(value, Relaxed);
    }

    fn tail(&self) -> u32 {
        self.shared.tail.load(self.tail)
    }

    fn publish_head(&mut self, head: u32) {
        self.shared.head.store(head, self.publish);
    }

    fn reset_mailbox(&mut self) {
        unreachable!("nothing is reset");
    }
}

impl<P, T> DataIo<TestCommand> for LoomHost<P, T> {
    fn populate(&mut self, _: u32, _: u32) -> Result<(), NoMemory> {
        Ok(())
    }

    fn depopulate(&mut self, _: Range<u32>) {}

    fn copy_to_area(&mut self, _: &TestCommand, _: Blocks<'_>) {}

    fn copy_from_area(&mut self, _: &TestCommand, _: Blocks<'_>, _: u32) {}
}

/// User space looks once, and completes what it finds.
fn user_space(shared: &Shared) {
    match shared.head.load(Acquire) {
        0 => {}
        ENTRY => {
            let header = shared.words[0].load(Relaxed);
            assert_eq!(header as u32, ENTRY | 1, "the header is stale");
            let cdb = shared.words[112 / 8].load(Relaxed).to_ne_bytes();
            assert_eq!(cdb[0], 0x80, "the CDB is stale");
            shared.words[1].store(u64::from(STATUS), Relaxed);
            shared.tail.store(ENTRY, Release);
        }
        head => panic!("the head is {head}"),
    }
}

fn run<P, T>(publish: P, tail: T)
where
    P: ReleaseOrRelaxed + Copy + Send + Sync + 'static,
    T: AcquireOrRelaxed + Copy + Send + Sync + 'static,
{
    loom::model(move || {
        let words = (0..CONFIG.ring_size / 8).map(|_| Atomic::new(0));
        let shared = Arc::new(Shared {
            words: words.collect(),
            head: Atomic::new(0),
            tail: Atomic::new(0),
        });
        let ledger = Rc::<RefCell<Ledger>>::default();
        let mut host = LoomHost {
            shared: shared.clone(),
            publish,
            tail,
        };
        let user = thread::spawn(move || user_space(&shared));

        let completer = TestCompleter {
            ledger: ledger.clone(),
        };
        let mut engine: TestEngine = Engine::new(&CONFIG, completer).expect("there is memory");
        let request = Request::new(0, 6, Direction::None, 0, None);
        let command = TestCommand::new(&ledger, request, false);
        assert!(engine.submit(&mut host, command).is_ok());
        assert_eq!(engine.handle_completions(&mut host), Ok(()));
        user.join().expect("user space ends");
        assert_eq!(engine.handle_completions(&mut host), Ok(()));

        let mut ledger = ledger.borrow_mut();
        for (_, reply) in ledger.take_answers() {
            let Reply::Response { status, .. } = reply else {
                panic!("{reply:?}");
            };
            assert_eq!(status, STATUS, "the response is stale");
        }
        ledger.close();
    });
}

/// The orders that `drivers/target/tcmu/memory.rs` has, and that [`RingIo`] demands.
#[test]
fn entries_and_responses_are_complete() {
    run(Release, Acquire);
}

#[test]
#[should_panic(expected = "is stale")]
fn head_must_be_released() {
    run(Relaxed, Acquire);
}

/// The C module does so: there, only on strongly ordered machines nothing happens.
#[test]
#[should_panic(expected = "the response is stale")]
fn tail_must_be_acquired() {
    run(Release, Relaxed);
}

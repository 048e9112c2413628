// SPDX-License-Identifier: GPL-2.0
//! The daemon's engine: holding, cancelling, pausing, the control protocol and the log.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use proptest::prelude::*;
use serde_json::Value;
use tcmu::engine::{Engine, OnTmr};
use tcmu::eventlog::EventLog;
use tcmu::ring::{Ring, RingError};
use tcmu::scsi::backing::Ram;
use tcmu::scsi::Disk;
use tcmu::uapi;

use crate::kernel::{Completion, Heap, Kernel};

const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0];
const TEST_UNIT_READY: [u8; 6] = [0; 6];

#[derive(Clone, Default)]
struct Lines(Rc<RefCell<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    kernel: Kernel,
    engine: Engine<Heap>,
    /// Nanoseconds.
    now: Rc<Cell<u64>>,
    log: Lines,
}

impl Fixture {
    fn new(on_tmr: OnTmr) -> Self {
        Self::with_ring(on_tmr, 4096)
    }

    fn with_ring(on_tmr: OnTmr, cmdr_size: usize) -> Self {
        let kernel = Kernel::new(cmdr_size, 64);
        let ring = Ring::attach(kernel.mem.clone()).unwrap();
        let disk = Disk::new(Box::new(Ram::new(1 << 20)), 512, "test").unwrap();
        let now = Rc::new(Cell::new(1_000));
        let clock = Rc::clone(&now);
        let log = Lines::default();
        let event_log = EventLog::new(Box::new(log.clone()));
        let engine = Engine::new(ring, disk, Box::new(move || clock.get()), event_log, on_tmr);
        Self {
            kernel,
            engine,
            now,
            log,
        }
    }

    fn submit(&mut self, cdb: &[u8]) -> u16 {
        let len = if cdb.len() == 10 { 512 } else { 0 };
        self.kernel.submit(cdb, &[0x77; 512], len).unwrap()
    }

    /// Lets the daemon have a turn; returns ids and status of what it completed.
    fn turn(&mut self) -> Vec<(u16, u8)> {
        while self.engine.process(3).unwrap() {}
        self.engine.expire().unwrap();
        self.done()
    }

    fn done(&mut self) -> Vec<(u16, u8)> {
        let done = self.completions();
        done.iter().map(|done| (done.id, done.status)).collect()
    }

    fn completions(&mut self) -> Vec<Completion> {
        self.kernel.completions()
    }

    fn control(&mut self, line: &str) -> String {
        self.engine.control(line).unwrap()
    }

    fn stat(&mut self, name: &str) -> u64 {
        let stats = self.control("stats");
        let value = stats
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value
            .unwrap_or_else(|| panic!("{name} in {stats}"))
            .parse()
            .unwrap()
    }

    fn events(&self) -> Vec<Value> {
        let log = self.log.0.borrow();
        let text = std::str::from_utf8(&log).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn event_names(&self) -> Vec<String> {
        let name = |event: &Value| event["event"].as_str().unwrap().to_string();
        self.events().iter().map(name).collect()
    }
}

#[test]
fn commands_are_answered_with_data() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.submit(&WRITE);
    f.submit(&READ);
    f.engine.process(10).unwrap();
    assert!(f.engine.take_kick());
    let done = f.completions();
    assert_eq!((done[0].status, done[1].status), (0, 0));
    assert_eq!(done[1].data, [0x77; 512], "what the WRITE brought");
    assert_eq!(f.event_names(), ["cmd", "complete", "cmd", "complete"]);
    let cmd = &f.events()[0];
    assert_eq!(
        (cmd["t_ns"].as_u64(), cmd["id"].as_u64()),
        (Some(1_000), Some(1))
    );
    assert_eq!(
        (cmd["opcode"].as_u64(), cmd["len"].as_u64()),
        (Some(0x2a), Some(512))
    );
    assert_eq!(cmd["cdb"], "2a000000000800000100");
}

#[test]
fn a_budget_lets_others_have_a_turn() {
    let mut f = Fixture::new(OnTmr::Cancel);
    for _ in 0..5 {
        f.submit(&TEST_UNIT_READY);
    }
    assert_eq!(f.engine.process(2), Ok(true));
    assert_eq!(f.done().len(), 2);
    assert_eq!(f.engine.process(10), Ok(false));
    assert_eq!(f.done().len(), 3);
}

#[test]
fn a_held_command_blocks_no_other() {
    let mut f = Fixture::new(OnTmr::Cancel);
    assert_eq!(f.control("hold read,count=1"), "ok");
    let held = f.submit(&READ);
    let second = f.submit(&READ);
    let third = f.submit(&WRITE);
    assert_eq!(f.turn(), [(second, 0), (third, 0)]);
    assert_eq!(f.control("held"), format!("ok {held}"));
    assert_eq!(f.control(&format!("release {held}")), "ok 1");
    let done = f.completions();
    assert_eq!((done[0].id, done[0].status), (held, 0));
    assert_eq!(
        done[0].data, [0x77; 512],
        "executed when released, after the WRITE"
    );
    assert_eq!(f.control("held"), "ok");
}

#[test]
fn a_delay_ends_by_itself() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all,delay=5");
    let first = f.submit(&TEST_UNIT_READY);
    assert_eq!(f.turn(), []);
    assert_eq!(f.engine.next_deadline(), Some(5_001_000));
    f.now.set(5_000_999);
    let second = f.submit(&TEST_UNIT_READY);
    assert_eq!(f.turn(), []);
    f.now.set(5_001_000);
    assert_eq!(f.turn(), [(first, 0)]);
    f.now.set(u64::MAX);
    assert_eq!(f.turn(), [(second, 0)]);
    assert_eq!(f.engine.next_deadline(), None);
}

#[test]
fn task_management_cancels_what_it_names() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold read,delay=1000");
    let ids: Vec<_> = (0..3).map(|_| f.submit(&READ)).collect();
    assert_eq!(f.turn(), []);
    // Ids that are not held: completed long ago, or never seen.
    assert!(f.kernel.tmr(1, &[ids[1], 500, ids[1]]));
    assert_eq!(f.turn(), [(ids[1], 0x40)]);
    assert_eq!(f.control("held"), format!("ok {} {}", ids[0], ids[2]));
    assert!(f.kernel.tmr(5, &[ids[0], ids[2]]));
    assert_eq!(f.turn(), [(ids[0], 0x40), (ids[2], 0x40)]);
    assert_eq!(
        (f.stat("tmrs"), f.stat("cancelled"), f.stat("outstanding")),
        (2, 3, 0)
    );
    f.now.set(u64::MAX);
    assert_eq!(f.turn(), [], "no deadline is left");
    let events = f.events();
    let tmr = events.iter().find(|event| event["event"] == "tmr").unwrap();
    assert_eq!(
        (tmr["type"].as_u64(), tmr["type_name"].as_str()),
        (Some(1), Some("ABORT_TASK"))
    );
    assert_eq!(tmr["ids"], serde_json::json!([ids[1], 500, ids[1]]));
    let names = f.event_names().join(" ");
    assert!(
        names.contains("tmr cancel complete tmr cancel complete cancel complete"),
        "{names}"
    );
}

#[test]
fn task_management_can_be_ignored() {
    let mut f = Fixture::new(OnTmr::Ignore);
    f.control("hold all");
    let id = f.submit(&READ);
    assert!(f.kernel.tmr(5, &[id]));
    assert_eq!(f.turn(), []);
    assert_eq!((f.stat("tmrs"), f.stat("held")), (1, 1));
    assert_eq!(f.control(&format!("cancel {id}")), "ok 1");
    assert_eq!(f.done(), [(id, 0x40)]);
    let second = f.submit(&READ);
    f.turn();
    assert_eq!(f.control("on-tmr cancel"), "ok");
    assert!(f.kernel.tmr(5, &[second]));
    assert_eq!(f.turn(), [(second, 0x40)]);
}

#[test]
fn random_delays_stay_in_their_range_and_follow_the_seed() {
    let delays = |seed| {
        let mut f = Fixture::new(OnTmr::Cancel);
        f.engine.seed(seed);
        f.control("hold all,delay=5,jitter=40");
        for _ in 0..20 {
            f.submit(&READ);
            f.turn();
        }
        let mut delays = Vec::new();
        for event in f.events() {
            if event["event"] == "hold" {
                delays.push(event["delay_ms"].as_u64().unwrap());
            }
        }
        assert_eq!(
            f.engine.next_deadline(),
            delays.iter().min().map(|ms| 1_000 + ms * 1_000_000)
        );
        delays
    };
    let first = delays(1);
    assert_eq!(first.len(), 20);
    assert!(first.iter().all(|ms| (5..=45).contains(ms)), "{first:?}");
    assert_eq!(first, delays(1));
    assert_ne!(first, delays(2));
}

#[test]
fn requests_for_all_go_from_the_oldest_to_the_newest() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all");
    let first = f.submit(&READ);
    let second = f.submit(&READ);
    f.turn();
    assert_eq!(f.control(&format!("release {first}")), "ok 1");
    f.done();
    let third = f.submit(&READ);
    assert_eq!(third, first, "the id is used again");
    f.turn();
    assert_eq!(f.control("cancel all"), "ok 2");
    assert_eq!(f.done(), [(second, 0x40), (third, 0x40)]);
    assert_eq!(f.control("release all"), "ok 0");
    assert_eq!(f.control("release 1"), "error command 1 is not held");
}

#[test]
fn unhold_lets_new_commands_through_and_keeps_held_ones() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all");
    f.control("sense 6 0x29 0 read,count=5");
    let held = f.submit(&WRITE);
    f.turn();
    f.control("unhold");
    let through = f.submit(&READ);
    assert_eq!(f.turn(), [(through, 0)]);
    assert_eq!(f.control("held"), format!("ok {held}"));
}

#[test]
fn a_raw_response_is_sent_as_it_is() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all");
    let first = f.submit(&READ);
    let second = f.submit(&READ);
    f.turn();
    assert_eq!(
        f.control(&format!("complete {first} 0x18 read-len=7 keep-buf")),
        "ok 1"
    );
    let request = format!("complete {second} 2 sense=4/0x44/1 unknown-op");
    assert_eq!(f.control(&request), "ok 1");
    let done = f.completions();
    assert_eq!(
        (done[0].id, done[0].status, done[0].read_len),
        (first, 0x18, 7)
    );
    assert_eq!(done[0].uflags, uapi::UFLAG_READ_LEN | uapi::UFLAG_KEEP_BUF);
    assert_eq!(done[0].data, [0x77; 512], "the buffer is not touched");
    assert_eq!(
        (done[1].status, done[1].uflags),
        (2, uapi::UFLAG_UNKNOWN_OP)
    );
    assert_eq!(
        (done[1].sense[2], done[1].sense[12], done[1].sense[13]),
        (4, 0x44, 1)
    );
}

#[test]
fn sense_rules_answer_the_next_matching_commands() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold read");
    assert_eq!(f.control("sense 3 0x11 0 opcode=0x28,count=2"), "ok");
    f.submit(&WRITE);
    f.submit(&READ);
    f.submit(&READ);
    let held = f.submit(&READ);
    f.engine.process(10).unwrap();
    let done = f.completions();
    let status: Vec<_> = done.iter().map(|done| done.status).collect();
    assert_eq!(status, [0, 2, 2]);
    assert_eq!((done[1].sense[2], done[1].sense[12]), (3, 0x11));
    assert_eq!(f.control("held"), format!("ok {held}"));
}

#[test]
fn while_paused_nothing_is_read_or_given_back() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all,count=1");
    let held = f.submit(&READ);
    f.turn();
    assert_eq!(f.control("pause"), "ok");
    let waiting = f.submit(&READ);
    f.kernel.tmr(1, &[held]);
    assert_eq!(f.turn(), []);
    assert_eq!(
        (f.stat("paused"), f.stat("cmds"), f.stat("tmrs")),
        (1, 1, 0)
    );
    // What has been read already can still be answered.
    assert_eq!(f.control(&format!("release {held}")), "ok 1");
    assert_eq!(f.done(), [(held, 0)]);
    assert_eq!(f.control("resume"), "ok");
    assert_eq!(f.turn(), [(waiting, 0)]);
    assert_eq!((f.stat("paused"), f.stat("tmrs")), (0, 1));
}

#[test]
fn a_reset_of_the_ring_drops_held_commands() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.submit(&TEST_UNIT_READY);
    f.turn();
    f.control("hold all,delay=1");
    let id = f.submit(&READ);
    f.turn();
    f.kernel.reset();
    f.now.set(u64::MAX);
    assert_eq!(f.turn(), []);
    assert_eq!(
        f.control(&format!("release {id}")),
        format!("error command {id} is not held")
    );
    assert_eq!(
        (f.stat("resets"), f.stat("held"), f.stat("outstanding")),
        (1, 0, 0)
    );
    f.control("unhold");
    let next = f.submit(&READ);
    assert_eq!(f.turn(), [(next, 0)]);
}

#[test]
fn a_reset_is_noticed_by_a_request_too() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all");
    let id = f.submit(&READ);
    f.turn();
    f.kernel.reset();
    assert_eq!(
        f.control(&format!("complete {id} 0")),
        format!("error command {id} is not held")
    );
    assert_eq!((f.stat("resets"), f.done()), (1, vec![]));
}

#[test]
fn shutting_down_answers_held_commands_with_busy() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.control("hold all");
    let first = f.submit(&READ);
    let second = f.submit(&WRITE);
    f.turn();
    f.engine.shut_down().unwrap();
    assert_eq!(f.done(), [(first, 8), (second, 8)]);
    assert!(!f.engine.quit_requested());
    assert_eq!(f.control("quit"), "ok");
    assert!(f.engine.quit_requested());
}

#[test]
fn bad_requests_change_nothing() {
    let mut f = Fixture::new(OnTmr::Cancel);
    for line in [
        "",
        "what",
        "hold",
        "hold nothing",
        "release x",
        "complete 1",
        "sense 99 0 0",
        "pause twice",
    ] {
        let answer = f.control(line);
        assert!(
            answer.starts_with("error ") && !answer.contains('\n'),
            "{line:?}: {answer:?}"
        );
    }
    let id = f.submit(&READ);
    assert_eq!(f.turn(), [(id, 0)]);
}

#[test]
fn a_broken_ring_is_an_error() {
    let mut f = Fixture::new(OnTmr::Cancel);
    f.submit(&READ);
    f.kernel.mem.put(f.kernel.at(0), 0u32.to_ne_bytes());
    assert!(matches!(f.engine.process(1), Err(RingError::Entry { .. })));
}

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Submit(bool),
    Tmr(u8),
    Turn,
    Time(u64),
    Control(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let requests = [
        "hold read,count=2",
        "hold read,lba=1-8",
        "hold all,delay=3",
        "hold write",
        "unhold",
        "release all",
        "cancel all",
        "pause",
        "resume",
        "release 2",
        "cancel 1",
        "complete 3 0x18",
        "sense 6 0x29 0 all,count=1",
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Submit),
        2 => any::<u8>().prop_map(Step::Tmr),
        4 => Just(Step::Turn),
        1 => (0u64..4_000_000).prop_map(Step::Time),
        3 => prop::sample::select(requests.to_vec()).prop_map(Step::Control),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens: the kernel sees each command completed once, and in the end none is left.
    #[test]
    fn every_command_is_completed_once(steps in prop::collection::vec(step(), 1..150)) {
        let mut f = Fixture::with_ring(OnTmr::Cancel, 1024);
        let (mut submitted, mut completed) = (0, 0);
        for step in steps {
            match step {
                Step::Submit(read) => {
                    let cdb = if read { READ } else { WRITE };
                    submitted += usize::from(f.kernel.submit(&cdb, &[0x77; 512], 512).is_some());
                }
                Step::Tmr(mask) => {
                    let bit = |id: &u16| mask >> (*id % 8) & 1 == 1;
                    let ids: Vec<u16> = f.kernel.ids().into_iter().filter(bit).collect();
                    f.kernel.tmr(1, &ids);
                }
                Step::Turn => completed += f.turn().len(),
                Step::Time(ns) => f.now.set(f.now.get() + ns),
                Step::Control(line) => {
                    f.control(line);
                }
            }
        }
        for line in ["unhold", "resume"] {
            f.control(line);
        }
        completed += f.turn().len();
        // Those of the last turn were on the ring before, maybe under a rule that is gone now.
        f.control("release all");
        completed += f.done().len();
        prop_assert_eq!(completed, submitted);
        prop_assert_eq!(f.kernel.ids(), Vec::<u16>::new());
        prop_assert_eq!((f.stat("held"), f.stat("outstanding")), (0, 0));
    }
}

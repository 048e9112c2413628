// SPDX-License-Identifier: GPL-2.0
//! The ring as long as both sides keep the contract.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tcmu::data::DataBuffer;
use tcmu::ring::{Command, Entry, Response, Ring, RingError, Tmr};
use tcmu::shm::SharedMemory;
use tcmu::uapi;

use crate::kernel::{Heap, Kernel, BLOCK};

const READ_10: [u8; 10] = [0x28, 0, 0, 0, 0, 1, 0, 0, 2, 0];

fn pair(cmdr_size: usize) -> (Kernel, Ring<Heap>) {
    let kernel = Kernel::new(cmdr_size, 64);
    let ring = Ring::attach(kernel.mem.clone()).unwrap();
    (kernel, ring)
}

fn next_command(ring: &mut Ring<Heap>) -> Command {
    match ring.next_entry() {
        Ok(Some(Entry::Command(command))) => command,
        other => panic!("{other:?} is no command"),
    }
}

#[test]
fn a_command_comes_out_whole() {
    let (mut kernel, mut ring) = pair(4096);
    assert_eq!(ring.next_entry(), Ok(None));
    let data: Vec<u8> = (0..BLOCK * 5 + 7).map(|n| n as u8).collect();
    let id = kernel.submit(&READ_10, &data, data.len()).unwrap();
    let command = next_command(&mut ring);
    assert_eq!(
        (command.id, command.cdb.as_slice()),
        (id, READ_10.as_slice())
    );
    assert!(command.iovs.len() > 1, "the buffer is scattered");
    assert_eq!(command.data_len(), data.len());
    let buffer = ring.buffer(&command.iovs);
    let mut back = vec![0; data.len()];
    buffer.read(0, &mut back).unwrap();
    assert_eq!(back, data);
    let mut part = [0; BLOCK];
    buffer.read(BLOCK + 3, &mut part).unwrap();
    assert_eq!(part, data[BLOCK + 3..BLOCK * 2 + 3]);
    assert!(buffer.read(1, &mut back).is_err(), "past the end");
    assert_eq!(ring.next_entry(), Ok(None));
    assert!(!ring.take_kick(), "nothing has been given back");
}

#[test]
fn a_response_reaches_the_kernel() {
    let (mut kernel, mut ring) = pair(4096);
    let id = kernel.submit(&READ_10, &[], 600).unwrap();
    let command = next_command(&mut ring);
    let answer: Vec<u8> = (0..600).map(|n| (n * 7) as u8).collect();
    ring.buffer(&command.iovs).write(0, &answer).unwrap();
    let response = Response {
        status: 2,
        sense: vec![0x70; 18],
        read_len: Some(512),
        unknown_op: false,
        keep_buf: true,
    };
    ring.complete(id, &response).unwrap();
    assert!(ring.take_kick() && !ring.take_kick());
    let done = kernel.completions();
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].id, done[0].status, done[0].read_len), (id, 2, 512));
    assert_eq!(done[0].uflags, uapi::UFLAG_READ_LEN | uapi::UFLAG_KEEP_BUF);
    assert_eq!(done[0].sense[..18], [0x70; 18]);
    assert_eq!(
        done[0].sense[18..],
        [0; 78],
        "nothing of the request is left in the sense data"
    );
    assert_eq!(done[0].data, answer);
    assert_eq!(ring.complete(id, &response), Err(RingError::UnknownId(id)));
}

#[test]
fn sense_data_longer_than_the_buffer_is_cut() {
    let (mut kernel, mut ring) = pair(4096);
    kernel.submit(&READ_10, &[], 0).unwrap();
    kernel.submit(&READ_10, &[], 0).unwrap();
    let first = next_command(&mut ring).id;
    let response = Response {
        sense: vec![0xaa; 300],
        ..Response::status(2)
    };
    ring.complete(first, &response).unwrap();
    assert_eq!(
        kernel.completions()[0].sense,
        [0xaa; uapi::SENSE_BUFFER_SIZE]
    );
    next_command(&mut ring);
}

#[test]
fn completion_out_of_order_uses_the_oldest_slot() {
    let (mut kernel, mut ring) = pair(4096);
    let ids: Vec<_> = (0..3)
        .map(|_| kernel.submit(&READ_10, &[], 0).unwrap())
        .collect();
    for _ in &ids {
        next_command(&mut ring);
    }
    for (n, id) in [ids[2], ids[0], ids[1]].into_iter().enumerate() {
        ring.complete(id, &Response::status(n as u8)).unwrap();
        let done = kernel.completions();
        assert_eq!((done.len(), done[0].id, done[0].status), (1, id, n as u8));
    }
    assert_eq!(ring.outstanding(), 0);
}

#[test]
fn slots_that_have_not_been_read_are_not_given_back() {
    let (mut kernel, mut ring) = pair(4096);
    let first = kernel.submit(&READ_10, &[], 0).unwrap();
    let second = kernel.submit(&READ_10, &[], 0).unwrap();
    assert_eq!(
        ring.complete(first, &Response::status(0)),
        Err(RingError::UnknownId(first))
    );
    next_command(&mut ring);
    assert_eq!(
        ring.complete(second, &Response::status(0)),
        Err(RingError::UnknownId(second))
    );
    assert_eq!(kernel.completions(), []);
    ring.complete(first, &Response::status(0)).unwrap();
    assert_eq!(kernel.completions().len(), 1);
    assert_eq!(next_command(&mut ring).id, second);
}

#[test]
fn a_tmr_is_given_back_when_everything_before_it_is() {
    let (mut kernel, mut ring) = pair(4096);
    assert!(kernel.tmr(5, &[]));
    let tmr = |tmr_type, ids: &[u16]| {
        let ids = ids.to_vec();
        Ok(Some(Entry::Tmr(Tmr { tmr_type, ids })))
    };
    assert_eq!(ring.next_entry(), tmr(5, &[]));
    assert!(ring.take_kick(), "nothing is before it");

    let id = kernel.submit(&READ_10, &[], 0).unwrap();
    assert!(kernel.tmr(1, &[id, 7, 9]));
    let tail = |kernel: &Kernel| kernel.mem.load_acquire_u32(uapi::MB_CMD_TAIL).unwrap();
    let before = tail(&kernel);
    next_command(&mut ring);
    assert_eq!(ring.next_entry(), tmr(1, &[id, 7, 9]));
    assert!(!ring.take_kick());
    assert_eq!(tail(&kernel), before);
    ring.complete(id, &Response::status(0x40)).unwrap();
    assert_eq!(kernel.completions().len(), 1);
    assert_eq!(
        tail(&kernel) as usize,
        kernel.head(),
        "the notification went back with the command"
    );
}

#[test]
fn a_pad_takes_the_ring_to_its_start() {
    // Room for three commands of 128 bytes and a rest of 64.
    let (mut kernel, mut ring) = pair(448);
    for round in 0..20 {
        let id = kernel.submit(&READ_10, &[], 0).unwrap();
        let mut entries = vec![ring.next_entry().unwrap().unwrap()];
        if let Entry::Pad(len) = entries[0] {
            assert_eq!(len, 64, "round {round}");
            entries.push(ring.next_entry().unwrap().unwrap());
        }
        assert_eq!(
            entries.len(),
            if round % 3 == 0 && round > 0 { 2 } else { 1 }
        );
        ring.complete(id, &Response::status(0)).unwrap();
        assert_eq!(kernel.completions().len(), 1);
    }
}

#[test]
fn cdbs_have_the_length_of_their_group() {
    let (mut kernel, mut ring) = pair(4096);
    let mut variable = vec![0x7f; 32];
    variable[7] = 24;
    for (first, len) in [
        (0x12, 6),
        (0x28, 10),
        (0x55, 10),
        (0x63, 12),
        (0x8a, 16),
        (0xa8, 12),
        (0xc1, 10),
    ] {
        let mut cdb = vec![first; len];
        cdb[len - 1] = 0xee;
        kernel.submit(&cdb, &[], 0).unwrap();
        assert_eq!(next_command(&mut ring).cdb, cdb);
    }
    kernel.submit(&variable, &[], 0).unwrap();
    assert_eq!(next_command(&mut ring).cdb, variable);
}

#[test]
fn a_second_handler_starts_at_the_tail() {
    let (mut kernel, mut ring) = pair(4096);
    let first = kernel.submit(&READ_10, &[], 0).unwrap();
    let second = kernel.submit(&READ_10, &[], 0).unwrap();
    next_command(&mut ring);
    ring.complete(first, &Response::status(0)).unwrap();
    kernel.completions();
    drop(ring);
    let mut ring = Ring::attach(kernel.mem.clone()).unwrap();
    assert_eq!(next_command(&mut ring).id, second);
}

#[test]
fn a_reset_of_the_ring_is_noticed() {
    let (mut kernel, mut ring) = pair(4096);
    let first = kernel.submit(&READ_10, &[], 0).unwrap();
    next_command(&mut ring);
    ring.complete(first, &Response::status(0)).unwrap();
    kernel.completions();
    let second = kernel.submit(&READ_10, &[], 0).unwrap();
    next_command(&mut ring);
    assert_eq!(ring.check_reset(), Ok(()));
    kernel.reset();
    assert_eq!(ring.check_reset(), Err(RingError::Reset));
    assert_eq!(ring.next_entry(), Err(RingError::Reset));
    assert_eq!(
        ring.complete(second, &Response::status(0)),
        Err(RingError::Reset)
    );
    ring.resync().unwrap();
    assert_eq!((ring.outstanding(), ring.next_entry()), (0, Ok(None)));
    let third = kernel.submit(&READ_10, &[], 0).unwrap();
    assert_eq!(next_command(&mut ring).id, third);
}

#[test]
fn a_reset_before_the_first_completion_is_noticed_by_the_head() {
    let (mut kernel, mut ring) = pair(4096);
    kernel.submit(&READ_10, &[], 0).unwrap();
    next_command(&mut ring);
    kernel.reset();
    assert_eq!(ring.check_reset(), Err(RingError::Reset));
}

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    /// The kernel submits a command with so many bytes.
    Submit(usize),
    /// The kernel announces task management of so many commands.
    Tmr(usize),
    /// User space reads an entry.
    Read,
    /// User space completes one of the outstanding commands.
    Complete(prop::sample::Index),
    /// The kernel looks at the tail.
    Kick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..BLOCK * 6).prop_map(Step::Submit),
        1 => (0..12usize).prop_map(Step::Tmr),
        4 => Just(Step::Read),
        4 => any::<prop::sample::Index>().prop_map(Step::Complete),
        2 => Just(Step::Kick),
    ]
}

/// The byte that fills the buffer of a command: its number, not its id, which is used again.
fn fill(number: usize, answer: bool) -> u8 {
    number as u8 ^ if answer { 0xff } else { 0 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the order, each command is read once with its own data and completed once with its own
    /// answer, and TMRs arrive in order with their ids.
    #[test]
    fn everything_arrives_once(cmdr_size in 45usize..200, steps in prop::collection::vec(step(), 1..250)) {
        let (mut kernel, mut ring) = pair(cmdr_size * 8);
        let mut submitted = 0;
        // Numbers by id: on the ring but not read, and read but not completed.
        let mut unread: BTreeMap<u16, usize> = BTreeMap::new();
        let mut reading: Vec<(Command, usize)> = Vec::new();
        let mut finished: BTreeMap<u16, usize> = BTreeMap::new();
        let mut tmrs: Vec<Vec<u16>> = Vec::new();
        for step in steps {
            match step {
                Step::Submit(len) => {
                    let data = vec![fill(submitted, false); len];
                    if let Some(id) = kernel.submit(&READ_10, &data, len) {
                        unread.insert(id, submitted);
                        submitted += 1;
                    }
                }
                Step::Tmr(count) => {
                    let ids: Vec<u16> = kernel.ids().into_iter().take(count).collect();
                    if kernel.tmr(1, &ids) {
                        tmrs.push(ids);
                    }
                }
                Step::Read => match ring.next_entry().unwrap() {
                    None => prop_assert!(unread.is_empty() && tmrs.is_empty()),
                    Some(Entry::Pad(_)) => (),
                    Some(Entry::Tmr(tmr)) => prop_assert_eq!(tmr.ids, tmrs.remove(0)),
                    Some(Entry::Command(command)) => {
                        let number = unread.remove(&command.id).unwrap();
                        let mut data = vec![0; command.data_len()];
                        ring.buffer(&command.iovs).read(0, &mut data).unwrap();
                        prop_assert!(data.iter().all(|byte| *byte == fill(number, false)));
                        reading.push((command, number));
                    }
                },
                Step::Complete(index) => {
                    if !reading.is_empty() {
                        let (command, number) = reading.swap_remove(index.index(reading.len()));
                        let answer = vec![fill(number, true); command.data_len()];
                        ring.buffer(&command.iovs).write(0, &answer).unwrap();
                        ring.complete(command.id, &Response::status(number as u8)).unwrap();
                        prop_assert!(finished.insert(command.id, number).is_none());
                    }
                }
                Step::Kick => {
                    for done in kernel.completions() {
                        let number = finished.remove(&done.id).unwrap();
                        prop_assert_eq!(done.status, number as u8);
                        prop_assert!(done.data.iter().all(|byte| *byte == fill(number, true)));
                    }
                    prop_assert!(finished.is_empty(), "given back but not seen");
                }
            }
            prop_assert_eq!(ring.outstanding(), reading.len());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Bidirectional commands on the ring. No initiator of today's kernel sends one, see
//! `selftests/target/reports/tcmu-coverage.rst`: only these tests do.

use super::command::Reply;
use super::model::Place;
use super::rig::{Action, Rig, GOOD};
use super::user::{Completion, Held, Run};
use crate::logic::engine::Config;
use crate::logic::ops::Direction;

const BLOCK: u32 = 64;

fn rig() -> Rig {
    let config = Config {
        ring_size: 120 * 8 + 8,
        blocks: 8,
        block_size: BLOCK,
    };
    Rig::new(&config, Some(30))
}

/// Submits a command with so many bytes of Data-Out and Data-In.
fn submit(rig: &mut Rig, data_out: u32, data_in: Option<u32>) -> usize {
    let token = rig.model.commands.len();
    rig.step(&Action::Submit {
        direction: Direction::ToDevice,
        data_length: data_out,
        bidi_length: data_in,
        cdb_length: 10,
        aborted: false,
        may_wait: true,
    });
    token
}

fn complete(rig: &mut Rig, completion: &Completion) -> Reply {
    rig.step(&Action::Complete(0, completion.clone()));
    rig.step(&Action::Kick);
    match rig.answers.pop() {
        Some((_, reply)) => reply,
        None => panic!("no answer"),
    }
}

fn newest(rig: &Rig) -> &Held {
    match rig.user.held.last() {
        Some(held) => held,
        None => panic!("nothing on the ring"),
    }
}

/// What the tests' user space writes into byte `at` of the buffers of a command.
fn user_byte(token: usize, at: usize) -> u8 {
    (token * 13 + at * 5 + 2) as u8
}

#[test]
fn each_buffer_has_iovecs_of_its_own() {
    // Bytes out and in; where the two buffers are, the second one at the start of a block.
    let cases: [(u32, u32, Run, Run); 4] = [
        (1, 1, (0, 1), (64, 1)),
        (64, 64, (0, 64), (64, 64)),
        (100, 130, (0, 100), (128, 130)),
        (256, 256, (0, 256), (256, 256)),
    ];
    for (data_out, data_in, data, bidi) in cases {
        let mut rig = rig();
        submit(&mut rig, data_out, Some(data_in));
        let held = newest(&rig);
        assert_eq!((&held.data, &held.bidi), (&vec![data], &vec![bidi]));
        rig.drain();
    }
}

#[test]
fn the_first_buffer_brings_data_out() {
    let mut rig = rig();
    let token = submit(&mut rig, 100, Some(130));
    let request = rig.model.commands[token].request.clone();
    for at in 0..100 {
        assert_eq!(rig.host.data(at as u64), request.out_byte(at), "byte {at}");
    }
    rig.drain();
}

#[test]
fn the_second_buffer_takes_data_in() {
    for (data_out, data_in) in [(100, 130), (130, 100), (64, 1), (1, 448)] {
        let mut rig = rig();
        let token = submit(&mut rig, data_out, Some(data_in));
        let expected: Vec<u8> = (0..data_in)
            .map(|at| user_byte(token, (data_out + at) as usize))
            .collect();
        let reply = complete(&mut rig, &GOOD);
        assert_eq!(
            reply,
            Reply::Response {
                status: 0,
                sense: None,
                read_length: None,
                data_in: Some(expected),
            }
        );
    }
}

#[test]
fn a_read_length_is_for_reads_alone() {
    let mut rig = rig();
    submit(&mut rig, 64, Some(128));
    let completion = Completion {
        read_len: Some(10),
        ..GOOD
    };
    let Reply::Response {
        read_length,
        data_in,
        ..
    } = complete(&mut rig, &completion)
    else {
        panic!("another answer");
    };
    assert_eq!(read_length, None);
    assert_eq!(data_in.map(|data| data.len()), Some(128));
}

#[test]
fn errors_bring_no_data() {
    for read_len in [None, Some(10)] {
        let mut rig = rig();
        submit(&mut rig, 64, Some(128));
        let completion = Completion {
            status: 2,
            read_len,
            ..GOOD
        };
        let Reply::Response { sense, data_in, .. } = complete(&mut rig, &completion) else {
            panic!("another answer");
        };
        assert!(sense.is_some());
        assert_eq!(data_in, None);
    }
    let mut rig = rig();
    submit(&mut rig, 64, Some(128));
    let completion = Completion {
        unknown_op: true,
        ..GOOD
    };
    assert_eq!(complete(&mut rig, &completion), Reply::CheckCondition);
}

#[test]
fn both_buffers_count_for_what_fits() {
    let mut rig = rig();
    // Nine blocks of eight.
    let token = submit(&mut rig, 5 * BLOCK, Some(4 * BLOCK));
    assert_eq!(rig.model.commands[token].place, Place::Gone);
    // Six blocks of the four that are left.
    submit(&mut rig, 4 * BLOCK, None);
    let token = submit(&mut rig, 3 * BLOCK, Some(3 * BLOCK));
    assert_eq!(rig.model.commands[token].place, Place::Qfull);
    complete(&mut rig, &GOOD);
    assert!(matches!(
        rig.model.commands[token].place,
        Place::InFlight(_)
    ));
    rig.drain();
}

#[test]
fn both_buffers_are_kept_and_freed_together() {
    let mut rig = rig();
    submit(&mut rig, 2 * BLOCK, Some(2 * BLOCK));
    let keep = Completion {
        keep_buf: true,
        ..GOOD
    };
    complete(&mut rig, &keep);
    submit(&mut rig, 4 * BLOCK, None);
    assert_eq!(newest(&rig).data, [(4 * 64, 4 * 64)]);
    complete(&mut rig, &GOOD);
    rig.step(&Action::FreeKept(0));
    submit(&mut rig, 8 * BLOCK, None);
    assert_eq!(newest(&rig).data, [(0, 8 * 64)]);
    rig.drain();
}

// SPDX-License-Identifier: GPL-2.0

//! Each decision by itself.

use crate::logic::*;

#[test]
fn a_command_is_classified_by_flag_operation_code_and_service_action() {
    assert_eq!(Kind::of(false, false, [0x28, 0]), Kind::Plain);
    assert_eq!(Kind::of(false, true, [0x5f, 0x04]), Kind::Plain);
    assert_eq!(Kind::of(false, true, [0x5f, 0x05]), Kind::PreemptAndAbort);
    // The three high bits of byte 1 are not part of the service action.
    assert_eq!(Kind::of(false, true, [0x5f, 0xe5]), Kind::PreemptAndAbort);
    assert_eq!(Kind::of(false, true, [0x5e, 0x05]), Kind::Plain);
    assert_eq!(Kind::of(true, true, [0x5f, 0x05]), Kind::TaskManagement);
}

#[test]
fn a_preempt_that_the_backend_executes_is_a_plain_command() {
    assert_eq!(Kind::of(false, false, [0x5f, 0x05]), Kind::Plain);
}

#[test]
fn a_complete_or_stopped_command_is_not_aborted() {
    for late in [COMPLETE, FABRIC_STOP, COMPLETE | FABRIC_STOP | ABORTED] {
        assert_eq!(find(late, false, true), Found::TooLate);
        assert_eq!(find(late, true, true), Found::TooLate);
    }
}

#[test]
fn a_complete_command_is_waited_for_where_the_core_alone_releases_it() {
    assert_eq!(find(COMPLETE | SENT, true, false), Found::Ending);
    assert_eq!(find(COMPLETE | ABORTED, true, false), Found::Ending);
    assert_eq!(find(COMPLETE | FABRIC_STOP, true, false), Found::TooLate);
}

#[test]
fn an_abort_keeps_the_other_bits() {
    let active = 1 << 1;
    for (before, answer, state, sent) in [
        (active, false, active | ABORTED, false),
        (
            active | SENT,
            true,
            active | SENT | ABORTED | ANSWER_ABORTED,
            true,
        ),
        // The first abort decides about the answer: others may have looked at it.
        (
            ABORTED | ANSWER_ABORTED,
            false,
            ABORTED | ANSWER_ABORTED,
            false,
        ),
        (ABORTED, true, ABORTED, false),
    ] {
        assert_eq!(find(before, answer, true), Found::Abortable { state, sent });
        assert_eq!(
            find(before, answer, false),
            Found::Abortable { state, sent }
        );
    }
}

#[test]
fn only_other_nexuses_get_task_aborted_and_only_with_tas() {
    assert!(answers(false, true));
    assert!(!answers(false, false));
    assert!(!answers(true, true));
    assert!(!answers(true, false));
}

#[test]
fn abort_task_means_the_tag_of_its_own_nexus() {
    assert!(abort_task_means(true, false, 7, 7));
    assert!(!abort_task_means(true, false, 8, 7));
    assert!(!abort_task_means(false, false, 7, 7));
    assert!(!abort_task_means(true, true, 7, 7));
}

#[test]
fn preempt_and_abort_leaves_its_own_nexus_alone() {
    assert!(reaches_nexus(Cause::LunReset, true));
    assert!(reaches_nexus(Cause::LunReset, false));
    assert!(reaches_nexus(Cause::PreemptAndAbort, false));
    assert!(!reaches_nexus(Cause::PreemptAndAbort, true));
}

#[test]
fn a_registration_is_that_of_its_port_and_session() {
    let isid = |text: &[u8]| {
        let mut isid = [0; ISID_LEN];
        isid[..text.len()].copy_from_slice(text);
        isid
    };
    // As iSCSI writes them: six bytes, of which here the last differs.
    let (one, other) = (isid(b"00023d000001"), isid(b"00023d000002"));
    assert!(registers(true, None, || one));
    assert!(registers(true, Some(&one), || one));
    assert!(!registers(true, Some(&one), || other));
    assert!(!registers(false, None, || one));
    assert!(!registers(false, Some(&one), || one));
    // What is behind the text does not count.
    let mut rest = one;
    rest[15] = 1;
    assert!(registers(true, Some(&rest), || one));
    let full = [b'1'; ISID_LEN];
    assert!(registers(true, Some(&full), || full));
    assert!(!registers(true, Some(&full), || one));
}

#[test]
fn a_fabric_is_asked_for_its_session_only_if_the_registration_has_one() {
    let asked = || unreachable!("the fabric was asked");
    assert!(registers(true, None, asked));
    assert!(!registers(false, None, asked));
    assert!(!registers(false, Some(&[b'1'; ISID_LEN]), asked));
}

#[test]
fn what_was_not_sent_is_waited_for_without_the_mutex_or_not_at_all() {
    let wait = wait_for_command;
    assert_eq!(
        wait(Cause::PreemptAndAbort, Kind::Plain, false),
        Wait::Never
    );
    assert_eq!(
        wait(Cause::PreemptAndAbort, Kind::Plain, true),
        Wait::WithMutex
    );
    assert_eq!(wait(Cause::LunReset, Kind::Plain, false), Wait::AfterMutex);
    assert_eq!(wait(Cause::LunReset, Kind::Plain, true), Wait::WithMutex);
}

#[test]
fn a_phase_survives_its_number() {
    for phase in [
        Phase::Searching,
        Phase::Overtaken,
        Phase::OnCommand,
        Phase::OnUnsent,
        Phase::OnPreempt,
        Phase::Done,
    ] {
        assert_eq!(Phase::from_u32(phase as u32), phase);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Each decision by itself.

use crate::policy::*;

#[test]
fn a_command_is_classified_by_flag_operation_code_and_service_action() {
    assert_eq!(Kind::of(false, [0x28, 0]), Kind::Plain);
    assert_eq!(Kind::of(false, [0x5f, 0x04]), Kind::Plain);
    assert_eq!(Kind::of(false, [0x5f, 0x05]), Kind::PreemptAndAbort);
    // The three high bits of byte 1 are not part of the service action.
    assert_eq!(Kind::of(false, [0x5f, 0xe5]), Kind::PreemptAndAbort);
    assert_eq!(Kind::of(false, [0x5e, 0x05]), Kind::Plain);
    assert_eq!(Kind::of(true, [0x5f, 0x05]), Kind::TaskManagement);
}

#[test]
fn a_complete_or_stopped_command_is_not_aborted() {
    for late in [COMPLETE, FABRIC_STOP, COMPLETE | FABRIC_STOP | ABORTED] {
        assert_eq!(abort(late, false), None);
        assert_eq!(abort(late, true), None);
    }
}

#[test]
fn an_abort_keeps_the_other_bits() {
    let active = 1 << 1;
    assert_eq!(abort(active, false), Some(active | ABORTED));
    assert_eq!(abort(active, true), Some(active | ABORTED | ANSWER_ABORTED));
    // An answer that was promised once stays promised.
    assert_eq!(
        abort(ABORTED | ANSWER_ABORTED, false),
        Some(ABORTED | ANSWER_ABORTED)
    );
}

#[test]
fn only_other_nexuses_get_task_aborted_and_only_with_tas() {
    assert!(answers_command(false, true));
    assert!(!answers_command(false, false));
    assert!(!answers_command(true, true));
    assert!(!answers_command(true, false));
    assert!(answers_request(false));
    assert!(!answers_request(true));
}

#[test]
fn abort_task_means_the_tag_of_its_own_nexus() {
    assert!(abort_task_means(true, Kind::Plain, 7, 7));
    assert!(abort_task_means(true, Kind::PreemptAndAbort, 7, 7));
    assert!(!abort_task_means(true, Kind::Plain, 8, 7));
    assert!(!abort_task_means(false, Kind::Plain, 7, 7));
    assert!(!abort_task_means(true, Kind::TaskManagement, 7, 7));
}

#[test]
fn preempt_and_abort_leaves_its_own_nexus_alone() {
    assert!(reaches_nexus(Cause::LunReset, true));
    assert!(reaches_nexus(Cause::LunReset, false));
    assert!(reaches_nexus(Cause::PreemptAndAbort, false));
    assert!(!reaches_nexus(Cause::PreemptAndAbort, true));
}

#[test]
fn an_abort_without_keys_reaches_all_and_without_any_key_none() {
    assert!(reaches(None::<[u64; 0]>, 1));
    assert!(!reaches(Some([]), 1));
    assert!(reaches(Some([3, 1]), 1));
    assert!(!reaches(Some([3, 2]), 1));
}

#[test]
fn a_phase_survives_its_number() {
    for phase in [Phase::Searching, Phase::OnCommand, Phase::OnPreempt] {
        assert_eq!(Phase::from_u32(phase as u32), phase);
    }
}

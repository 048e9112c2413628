// SPDX-License-Identifier: GPL-2.0

//! All interleavings of small scenarios: nothing waits for ever, and no reset is answered while a
//! command that it should have waited for is still running.

use std::collections::HashSet;

use crate::{
    logic::{self, Cause, Kind, Phase, Wait},
    model::{Rules, State, RULES},
};

/// What all interleavings together show.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Each comes to its end.
    Ends,
    /// One gets stuck.
    Stuck,
}

/// Goes through all interleavings.
fn explore(start: State, rules: &Rules) -> Outcome {
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(state) = open.pop() {
        let successors = state.successors(rules);
        if successors.is_empty() && !state.is_over() {
            return Outcome::Stuck;
        }
        for next in successors {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Outcome::Ends
}

/// A PREEMPT AND ABORT in a batch with commands before and behind it.
fn preempt_in_a_batch() -> State {
    let mut state = State::new(2);
    state.submit(Kind::Plain, 1, 0);
    state.submit(Kind::PreemptAndAbort, 0, 0);
    state.submit(Kind::Plain, 1, 0);
    state.submit(Kind::Plain, 1, 1);
    state
}

/// Two nexuses that preempt each other.
fn mutual_preempt() -> State {
    let mut state = State::new(2);
    state.submit(Kind::Plain, 1, 0);
    state.submit(Kind::PreemptAndAbort, 0, 0);
    state.submit(Kind::Plain, 0, 1);
    state.submit(Kind::PreemptAndAbort, 1, 1);
    state
}

/// A LUN_RESET while a PREEMPT AND ABORT comes in.
fn preempt_and_reset() -> State {
    let mut state = State::new(1);
    state.submit(Kind::Plain, 1, 0);
    state.submit(Kind::PreemptAndAbort, 0, 0);
    state.reset(1);
    state
}

/// An ABORT_TASK for a plain command, a PREEMPT AND ABORT that reaches both, and a LUN_RESET.
fn abort_preempt_and_reset() -> State {
    let mut state = State::new(1);
    let command = state.submit(Kind::Plain, 1, 0);
    state.submit(Kind::PreemptAndAbort, 0, 0);
    state.abort(1, command);
    state.reset(0);
    state
}

/// An ABORT_TASK for a PREEMPT AND ABORT that another one preempts, and a LUN_RESET.
fn abort_of_a_preempt() -> State {
    let mut state = State::new(2);
    state.submit(Kind::PreemptAndAbort, 0, 0);
    let other = state.submit(Kind::PreemptAndAbort, 1, 1);
    state.abort(1, other);
    state.reset(0);
    state
}

/// An ABORT_TASK and two LUN_RESETs.
fn abort_and_two_resets() -> State {
    let mut state = State::new(2);
    let command = state.submit(Kind::Plain, 0, 0);
    state.submit(Kind::Plain, 1, 1);
    state.abort(0, command);
    state.reset(0);
    state.reset(1);
    state
}

/// An ABORT_TASK for a write whose data never come, and a PREEMPT AND ABORT that reaches both.
fn silent_initiator() -> State {
    let mut state = State::new(2);
    let command = state.submit_without_data(1, 0);
    state.submit(Kind::Plain, 1, 1);
    state.submit(Kind::PreemptAndAbort, 0, 1);
    state.abort(1, command);
    state
}

/// The same with a LUN_RESET, and the PREEMPT AND ABORT of the nexus that does not send its data: as
/// if it came through the thread that should receive them.
fn silent_initiator_and_reset() -> State {
    let mut state = State::new(2);
    let command = state.submit_without_data(1, 0);
    state.submit(Kind::PreemptAndAbort, 1, 1);
    state.abort(1, command);
    state.excused_reset(0);
    state
}

fn scenarios() -> [State; 8] {
    [
        preempt_in_a_batch(),
        mutual_preempt(),
        preempt_and_reset(),
        abort_preempt_and_reset(),
        abort_of_a_preempt(),
        abort_and_two_resets(),
        silent_initiator(),
        silent_initiator_and_reset(),
    ]
}

/// Whether these rules let some scenario get stuck.
fn gets_stuck(rules: &Rules) -> bool {
    scenarios()
        .into_iter()
        .any(|start| explore(start, rules) == Outcome::Stuck)
}

#[test]
fn everything_comes_to_its_end() {
    for start in scenarios() {
        assert_eq!(explore(start, &RULES), Outcome::Ends);
    }
}

#[test]
fn waiting_for_the_queue_from_inside_of_it_gets_stuck() {
    let rules = Rules {
        flush_inside: true,
        ..RULES
    };
    assert_eq!(explore(preempt_in_a_batch(), &rules), Outcome::Stuck);
}

#[test]
fn waiting_for_the_queue_with_the_mutex_held_gets_stuck() {
    let rules = Rules {
        flush_with_mutex: true,
        ..RULES
    };
    assert_eq!(explore(preempt_and_reset(), &rules), Outcome::Stuck);
}

#[test]
fn waiting_for_a_preempt_with_the_mutex_held_gets_stuck() {
    fn wait(_: Cause, _: Kind, _: bool) -> Wait {
        Wait::WithMutex
    }
    let rules = Rules {
        wait_for_command: wait,
        ..RULES
    };
    assert_eq!(explore(preempt_and_reset(), &rules), Outcome::Stuck);
    assert_eq!(explore(mutual_preempt(), &rules), Outcome::Stuck);
}

#[test]
fn two_preempts_that_wait_for_each_other_get_stuck() {
    fn wait(cause: Cause, kind: Kind, sent: bool) -> Wait {
        match logic::wait_for_command(cause, kind, sent) {
            Wait::Never => Wait::AfterMutex,
            other => other,
        }
    }
    let rules = Rules {
        wait_for_command: wait,
        ..RULES
    };
    assert_eq!(explore(mutual_preempt(), &rules), Outcome::Stuck);
}

#[test]
fn waiting_for_a_searching_request_gets_stuck() {
    fn wait(cause: Cause, phase: Phase) -> Wait {
        match phase {
            Phase::Searching | Phase::Overtaken => Wait::WithMutex,
            other => logic::wait_for_request(cause, other),
        }
    }
    let rules = Rules {
        wait_for_request: wait,
        ..RULES
    };
    assert!(gets_stuck(&rules));
}

#[test]
fn waiting_for_a_request_on_a_preempt_gets_stuck() {
    fn wait(cause: Cause, phase: Phase) -> Wait {
        match phase {
            Phase::OnPreempt => Wait::WithMutex,
            other => logic::wait_for_request(cause, other),
        }
    }
    let rules = Rules {
        wait_for_request: wait,
        ..RULES
    };
    assert!(gets_stuck(&rules));
}

#[test]
fn a_preempt_that_waits_for_unsent_commands_waits_for_a_silent_initiator() {
    fn wait(cause: Cause, kind: Kind, _: bool) -> Wait {
        logic::wait_for_command(cause, kind, true)
    }
    let rules = Rules {
        wait_for_command: wait,
        ..RULES
    };
    assert_eq!(explore(silent_initiator(), &rules), Outcome::Stuck);
}

#[test]
fn a_preempt_that_waits_for_requests_on_unsent_commands_waits_for_a_silent_initiator() {
    fn wait(cause: Cause, phase: Phase) -> Wait {
        match phase {
            Phase::OnUnsent => Wait::AfterMutex,
            other => logic::wait_for_request(cause, other),
        }
    }
    let rules = Rules {
        wait_for_request: wait,
        ..RULES
    };
    assert_eq!(explore(silent_initiator(), &rules), Outcome::Stuck);
}

#[test]
fn a_reset_that_waits_for_unsent_commands_with_the_mutex_holds_up_the_thread_that_receives() {
    fn wait(cause: Cause, kind: Kind, _: bool) -> Wait {
        logic::wait_for_command(cause, kind, true)
    }
    fn wait_for_request(cause: Cause, phase: Phase) -> Wait {
        match phase {
            Phase::OnUnsent => Wait::WithMutex,
            other => logic::wait_for_request(cause, other),
        }
    }
    let start = silent_initiator_and_reset();
    let commands = Rules {
        wait_for_command: wait,
        ..RULES
    };
    assert_eq!(explore(start.clone(), &commands), Outcome::Stuck);
    let requests = Rules {
        wait_for_request,
        ..RULES
    };
    assert_eq!(explore(start, &requests), Outcome::Stuck);
}

#[test]
#[should_panic(expected = "still runs")]
fn not_waiting_for_a_request_on_a_command_answers_too_early() {
    let rules = Rules {
        wait_for_request: |_, _| Wait::Never,
        ..RULES
    };
    for start in scenarios() {
        explore(start, &rules);
    }
}

#[test]
#[should_panic(expected = "still runs")]
fn looking_at_requests_before_commands_answers_too_early() {
    let rules = Rules {
        requests_first: true,
        ..RULES
    };
    for start in scenarios() {
        explore(start, &rules);
    }
}

#[test]
#[should_panic(expected = "still runs")]
fn an_overtaken_request_that_does_not_wait_for_the_reset_answers_too_early() {
    let rules = Rules {
        overtaken_is_hasty: true,
        ..RULES
    };
    for start in scenarios() {
        explore(start, &rules);
    }
}

#[test]
fn the_rules_of_the_c_code_get_stuck() {
    let rules = Rules {
        wait_for_command: |_, _, _| Wait::WithMutex,
        wait_for_request: |_, _| Wait::WithMutex,
        flush_inside: true,
        flush_with_mutex: true,
        requests_first: true,
        overtaken_is_hasty: true,
    };
    for start in [preempt_in_a_batch(), mutual_preempt(), preempt_and_reset()] {
        assert_eq!(explore(start, &rules), Outcome::Stuck);
    }
}

# SPDX-License-Identifier: GPL-2.0
"""The books must find what is wrong: answers that are lost, that come twice, that must not come."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcmulib.daemon import Event  # noqa: E402
from tcmulib.iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK, REJECTED  # noqa: E402
from tcmulib.scsi import CHECK_CONDITION, GOOD, RESERVATION_CONFLICT, TASK_ABORTED  # noqa: E402
from tcmulib.soak import evidence, medium  # noqa: E402
from tcmulib.soak.books import Books, Kind  # noqa: E402

#: Nexuses.
A, B, C = 1, 2, 3


class Ledger(unittest.TestCase):
    """Common set-up: commands 1 and 2 of nexus A, 3 of nexus B."""

    def setUp(self) -> None:
        self.books = Books()
        for tag, nexus in ((1, A), (2, A), (3, B)):
            self.books.command(tag, nexus, Kind.READ, bytes([tag]), float(tag))

    def answer(self, *tags: int) -> None:
        """Good answers."""
        for tag in tags:
            self.books.answer(tag, GOOD)

    def function(self, tag: int, nexus: int, function: int, about: int, response: int) -> None:
        """A function and its response."""
        self.books.function(tag, nexus, function, about)
        self.books.answer(tag, response)

    def preempt(
        self, tag: int, nexus: int, victims: set[int], kind: Kind = Kind.PREEMPT, time: float = 0.0
    ) -> None:
        """A PREEMPT AND ABORT that may reach the commands of `victims`, all of them registered."""
        self.books.command(
            tag,
            nexus,
            kind,
            bytes([tag]),
            time,
            victims=frozenset(victims),
            sure=frozenset(victims),
        )

    def wrong(self, *parts: str) -> None:
        """Exactly one violation, in these words."""
        found = self.books.violations()
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])


class Answers(Ledger):
    """Commands."""

    def test_one_answer_each(self) -> None:
        self.answer(1, 2, 3)
        self.assertEqual(self.books.violations(), [])

    def test_a_lost_answer(self) -> None:
        self.answer(1, 3)
        self.wrong("0x2", "no answer")

    def test_two_answers(self) -> None:
        self.answer(1, 2, 3, 2)
        found = self.books.violations()
        self.assertTrue(any("0x2" in line and "2 answers" in line for line in found), found)
        self.assertTrue(any("3 commands, but 4 answers" in line for line in found), found)

    def test_an_answer_to_nothing(self) -> None:
        self.answer(1, 2, 3, 9)
        self.wrong("0x9", "never used")

    def test_an_odd_status(self) -> None:
        self.answer(1, 2)
        self.books.answer(3, 0x30)
        self.wrong("status 0x30")

    def test_expired_without_a_time_out(self) -> None:
        self.answer(1, 2)
        self.books.answer(3, CHECK_CONDITION, 4)
        self.wrong("CHECK CONDITION")


class Functions(Ledger):
    """Task management."""

    def test_aborted_without_an_answer(self) -> None:
        self.function(10, A, ABORT_TASK, 1, COMPLETE)
        self.answer(2, 3)
        self.assertEqual(self.books.violations(), [])

    def test_no_task_covers_nothing(self) -> None:
        self.function(10, A, ABORT_TASK, 1, NO_TASK)
        self.answer(2, 3)
        self.wrong("0x1", "no answer")

    def test_an_answer_after_the_abort(self) -> None:
        self.function(10, A, ABORT_TASK, 1, COMPLETE)
        self.answer(1, 2, 3)
        self.wrong("0x1", "aborted, and then answered")

    def test_the_own_reset_ends_commands_before_it(self) -> None:
        self.function(10, A, LUN_RESET, 0, COMPLETE)
        self.answer(3)
        self.assertEqual(self.books.violations(), [])

    def test_it_does_not_end_those_after_it(self) -> None:
        self.function(10, A, LUN_RESET, 0, COMPLETE)
        self.answer(1, 2, 3)
        self.books.command(4, A, Kind.WRITE, b"4", 4.0)
        self.wrong("0x4", "no answer")

    def test_it_does_not_silence_others(self) -> None:
        self.function(10, A, LUN_RESET, 0, COMPLETE)
        self.wrong("0x3 of nexus 2", "no answer")

    def test_a_reset_of_another_nexus_answers(self) -> None:
        self.function(10, B, LUN_RESET, 0, COMPLETE)
        self.books.answer(1, TASK_ABORTED)
        self.books.answer(2, TASK_ABORTED)
        self.assertEqual(self.books.violations(), [])

    def test_task_aborted_needs_a_cause(self) -> None:
        self.answer(2, 3)
        self.books.answer(1, TASK_ABORTED)
        self.function(10, B, LUN_RESET, 0, COMPLETE)
        self.wrong("0x1", "TASK ABORTED without")

    def test_a_reset_must_be_answered(self) -> None:
        self.books.function(10, A, LUN_RESET)
        self.answer(1, 2, 3)
        self.wrong("function 5 0xa", "response None")

    def test_an_abort_is_not_rejected(self) -> None:
        self.books.function(11, B, LUN_RESET)
        self.function(10, A, ABORT_TASK, 1, REJECTED)
        self.books.answer(1, TASK_ABORTED)
        self.books.answer(11, COMPLETE)
        self.answer(2, 3)
        self.wrong("response 255")

    def test_an_abort_that_a_reset_has_overtaken(self) -> None:
        self.books.function(11, B, LUN_RESET)
        self.books.function(10, A, ABORT_TASK, 1)
        self.books.answer(1, TASK_ABORTED)
        self.books.answer(10, COMPLETE)
        self.books.answer(11, COMPLETE)
        self.answer(2, 3)
        self.assertEqual(self.books.violations(), [])

    def test_a_lost_response(self) -> None:
        self.books.function(10, A, ABORT_TASK, 1)
        self.answer(1, 2, 3)
        self.wrong("function 1 0xa", "no answer")

    def test_two_responses(self) -> None:
        self.function(10, A, ABORT_TASK, 1, COMPLETE)
        self.books.answer(10, COMPLETE)
        self.answer(2, 3)
        self.assertTrue(any("2 answers" in line for line in self.books.violations()))


class Preempts(Ledger):
    """PREEMPT AND ABORT."""

    def test_it_reaches_the_preempted_nexus(self) -> None:
        self.preempt(4, A, {B})
        self.books.answer(3, TASK_ABORTED)
        self.answer(1, 2, 4)
        self.assertEqual(self.books.violations(), [])

    def test_it_spares_another_one(self) -> None:
        self.books.command(5, C, Kind.WRITE, b"5", 5.0)
        self.preempt(4, A, {B})
        self.books.answer(5, TASK_ABORTED)
        self.answer(1, 2, 3, 4)
        self.wrong("0x5 of nexus 3", "TASK ABORTED without")

    def test_it_spares_the_one_that_sent_it(self) -> None:
        self.preempt(4, A, {B})
        self.books.answer(1, TASK_ABORTED)
        self.answer(2, 3, 4)
        self.wrong("0x1 of nexus 1", "TASK ABORTED without")

    def test_of_two_at_a_time_each_has_its_own(self) -> None:
        self.books.command(5, C, Kind.READ, b"5", 5.0)
        self.preempt(4, A, {B})
        self.preempt(6, C, {A})
        self.books.answer(3, TASK_ABORTED)
        self.books.answer(1, TASK_ABORTED)
        self.books.answer(5, TASK_ABORTED)
        self.answer(2, 4, 6)
        self.wrong("0x5 of nexus 3", "TASK ABORTED without")

    def test_one_that_was_refused_ends_nothing(self) -> None:
        self.books.command(9, C, Kind.RESERVE, b"9", 0.0)
        self.preempt(4, A, {B})
        self.books.answer(4, RESERVATION_CONFLICT)
        self.books.answer(3, TASK_ABORTED)
        self.answer(1, 2, 9)
        self.wrong("0x3", "TASK ABORTED without")

    def test_a_plain_preempt_ends_nothing(self) -> None:
        self.preempt(4, A, {B}, Kind.RESERVE)
        self.books.answer(3, TASK_ABORTED)
        self.answer(1, 2, 4)
        self.wrong("0x3", "TASK ABORTED without")

    def test_it_does_not_silence(self) -> None:
        self.preempt(4, A, {B})
        self.answer(1, 2, 4)
        self.wrong("0x3", "no answer")

    def test_after_its_answer_it_reaches_nothing(self) -> None:
        self.preempt(4, A, {B})
        self.answer(1, 2, 3, 4)
        self.books.command(5, B, Kind.READ, b"5", 5.0)
        self.books.answer(5, TASK_ABORTED)
        self.wrong("0x5", "TASK ABORTED without")

    def test_a_conflict_needs_a_reservation(self) -> None:
        self.answer(1, 2)
        self.books.answer(3, RESERVATION_CONFLICT)
        self.wrong("0x3", "RESERVATION CONFLICT")

    def test_a_conflict_after_a_reservation(self) -> None:
        self.books.command(4, A, Kind.RESERVE, b"4", 0.0)
        self.answer(1, 2, 4)
        self.books.answer(3, RESERVATION_CONFLICT)
        self.assertEqual(self.books.violations(), [])


class Witnesses(Ledger):
    """The daemon's log, the counters, the trace."""

    @staticmethod
    def log(*lines: dict[str, object]) -> evidence.DaemonLog:
        """A log with an event a second."""
        return evidence.DaemonLog(
            Event(float(at), str(line["event"]), line) for at, line in enumerate(lines, start=4)
        )

    @staticmethod
    def served(tag: int, id_: int, status: int = GOOD) -> list[dict[str, object]]:
        """A command that came and went."""
        return [
            {"event": "cmd", "id": id_, "cdb": bytes([tag]).hex()},
            {"event": "complete", "id": id_, "status": status},
        ]

    def test_all_seen(self) -> None:
        self.answer(1, 2, 3)
        log = self.log(*self.served(1, 7), *self.served(2, 7), *self.served(3, 9))
        self.assertEqual(log.violations(self.books), [])

    def test_answered_and_never_seen(self) -> None:
        self.answer(1, 2, 3)
        found = self.log(*self.served(1, 7), *self.served(3, 9)).violations(self.books)
        self.assertEqual(len(found), 1, found)
        self.assertIn("never saw", found[0])

    def test_seen_twice_not_completed_unknown(self) -> None:
        self.answer(1, 2, 3)
        log = self.log(
            *self.served(1, 7), *self.served(1, 7), *self.served(2, 7), *self.served(3, 9)[:1],
            *self.served(5, 6), {"event": "tmr", "type": 5, "ids": [11]},
        )  # fmt: skip
        text = "\n".join(log.violations(self.books))
        for part in ("saw tag 0x1 twice", "not completed the ids [9]", "nobody sent", "id 11"):
            self.assertIn(part, text)

    def test_listed_twice(self) -> None:
        tmr = {"event": "tmr", "type": 5, "ids": [7]}
        cmd, done = self.served(1, 7, TASK_ABORTED)
        found = self.log(cmd, tmr, tmr, done).violations(self.books)
        self.assertTrue(any("two notifications" in line for line in found), found)

    def outlives(self, complete: float, kind: Kind = Kind.PREEMPT) -> list[str]:
        """Command 3 came to the daemon before it was to be ended, and is completed then."""
        log = evidence.DaemonLog(
            Event(at, str(line["event"]), line)
            for tag, id_, seen, done in ((1, 7, 4.0, 4.1), (2, 8, 4.0, 4.1), (3, 9, 4.0, complete))
            for at, line in zip((seen, done), self.served(tag, id_), strict=True)
        )
        self.preempt(4, A, {B}, kind, time=5.0)
        self.books.answer(4, GOOD, time=6.0)
        self.answer(1, 2, 3)
        return log.violations(self.books)

    def test_a_command_that_outlives_the_preempt_of_its_nexus(self) -> None:
        found = self.outlives(6.5)
        self.assertEqual(len(found), 1, found)
        self.assertIn("0x3", found[0])
        self.assertIn("PREEMPT AND ABORT 0x4", found[0])

    def test_one_that_was_faster(self) -> None:
        self.assertEqual(self.outlives(5.5), [])

    def test_one_that_a_plain_preempt_leaves_alone(self) -> None:
        self.assertEqual(self.outlives(6.5, Kind.RESERVE), [])

    def test_it_is_not_judged_when_another_preempt_may_have_been_first(self) -> None:
        self.preempt(6, C, {B}, Kind.RESERVE)
        self.books.answer(6, GOOD)
        self.assertEqual(len(self.outlives(6.5)), 1)
        self.books = Books()
        self.setUp()
        self.preempt(6, C, {B}, Kind.RESERVE)
        self.assertEqual(self.outlives(6.5), [])

    def test_counters(self) -> None:
        self.function(10, A, ABORT_TASK, 1, COMPLETE)
        self.function(11, B, LUN_RESET, 0, COMPLETE)
        self.answer(2, 3)
        before = {"num_cmds": 5, "aborts_complete": 0, "aborts_no_task": 0, "resets": 1}
        after = {"num_cmds": 8, "aborts_complete": 1, "aborts_no_task": 0, "resets": 2}
        self.assertEqual(evidence.counters(self.books, before, after), [])
        for name in before:
            self.assertEqual(
                len(evidence.counters(self.books, before, {**after, name: after[name] + 1})), 1,
                name,
            )  # fmt: skip

    def test_trace(self) -> None:
        self.function(10, A, ABORT_TASK, 1, COMPLETE)
        self.answer(2, 3)
        grown = {"aborts_complete": 1, "aborts_no_task": 0, "resets": 0}
        events = [
            ("trx-1", "tmr_received", "ABORT_TASK fabric iSCSI initiator x"),
            ("kworker-2", "tmr_abort", f"device 1 command tag {1 << 24} opcode 0x28 initiator x"),
            ("kworker-2", "tmr_notify", "device 1 ABORT_TASK commands 1"),
            ("kworker-2", "tmr_done", f"device 1 ABORT_TASK tag {1 << 24} FUNCTION_COMPLETE"),
        ]
        self.assertEqual(evidence.TmrTrace(events).violations(self.books, grown), [])
        for missing in range(4):
            fewer = [event for number, event in enumerate(events) if number != missing]
            self.assertTrue(evidence.TmrTrace(fewer).violations(self.books, grown), missing)
        events[1] = (*events[1][:2], events[1][2] + ", to be answered")
        self.assertTrue(evidence.TmrTrace(events).violations(self.books, grown))

    def test_marked_when_the_core_had_refused_it(self) -> None:
        text = f"device 1 command tag {1 << 24} opcode 0x28 initiator x, to be answered"
        grown = {"aborts_complete": 0, "aborts_no_task": 0, "resets": 0}
        self.answer(2, 3)
        self.books.answer(1, RESERVATION_CONFLICT)
        trace = evidence.TmrTrace([("trx-1", "tmr_abort", text)])
        self.assertEqual(trace.violations(self.books, grown), [])
        self.assertEqual(trace.count["marked when refused"], 1)

    def test_marked_and_good(self) -> None:
        self.answer(1, 2, 3)
        grown = {"aborts_complete": 0, "aborts_no_task": 0, "resets": 0}
        text = f"device 1 command tag {1 << 24} opcode 0x28 initiator x, to be answered"
        trace = evidence.TmrTrace([("trx-1", "tmr_abort", text)])
        found = trace.violations(self.books, grown)
        self.assertEqual(len(found), 1, found)

    def test_marked_while_its_answer_was_on_its_way(self) -> None:
        self.books.function(10, A, ABORT_TASK, 1)
        self.answer(1, 2, 3)
        self.books.answer(10, COMPLETE)
        events = [
            ("trx-1", "tmr_received", "ABORT_TASK fabric iSCSI initiator x"),
            ("kworker-2", "tmr_abort", f"device 1 command tag {1 << 24} opcode 0x28 initiator x"),
            ("kworker-2", "tmr_notify", "device 1 ABORT_TASK commands 1"),
            ("kworker-2", "tmr_done", f"device 1 ABORT_TASK tag {1 << 24} FUNCTION_COMPLETE"),
        ]
        grown = {"aborts_complete": 1, "aborts_no_task": 0, "resets": 0}
        trace = evidence.TmrTrace(events)
        self.assertEqual(trace.violations(self.books, grown), [])
        self.assertEqual(trace.count["marked when complete"], 1)

    def test_many_marked_and_good(self) -> None:
        for tag in range(20, 40):
            self.books.command(tag, A, Kind.READ, bytes(16), 0.0)
            self.books.function(tag + 100, A, ABORT_TASK, tag)
        self.answer(1, 2, 3, *range(20, 40))
        for tag in range(120, 140):
            self.books.answer(tag, COMPLETE)
        events = []
        for tag in range(20, 40):
            text = f"tag {tag << 24}"
            events += [
                ("trx-1", "tmr_received", "ABORT_TASK fabric iSCSI initiator x"),
                ("kworker-2", "tmr_abort", f"device 1 command {text} opcode 0x28 initiator x"),
                ("kworker-2", "tmr_notify", "device 1 ABORT_TASK commands 1"),
                ("kworker-2", "tmr_done", f"device 1 ABORT_TASK {text} FUNCTION_COMPLETE"),
            ]
        grown = {"aborts_complete": 20, "aborts_no_task": 0, "resets": 0}
        found = evidence.TmrTrace(events).violations(self.books, grown)
        self.assertEqual(len(found), 1, found)
        self.assertIn("20 of 20", found[0])

    def preempted(self, tag: int) -> list[str]:
        """Nexus A preempts B while B sends a LUN RESET; the first aborts the command `tag`."""
        self.preempt(4, A, {B})
        self.books.function(10, B, LUN_RESET)
        self.books.answer(10, COMPLETE)
        for other in {1, 2, 3} - {tag}:
            self.answer(other)
        self.books.answer(tag, TASK_ABORTED)
        self.answer(4)
        events = [
            ("trx-1", "tmr_received", "LUN_RESET fabric iSCSI initiator b"),
            ("trx-2", "tmr_abort",
             f"device 1 command tag {tag << 24} opcode 0x28 initiator a, to be answered"),
            ("kworker-3", "tmr_notify", "device 1 LUN_RESET commands 0"),
            ("trx-2", "tmr_notify", "device 1 PREEMPT_AND_ABORT commands 1"),
            ("kworker-3", "tmr_done", "device 1 LUN_RESET tag 0 FUNCTION_COMPLETE"),
            ("trx-2", "tmr_done", "device 1 PREEMPT_AND_ABORT tag 0 FUNCTION_COMPLETE"),
        ]  # fmt: skip
        grown = {"aborts_complete": 0, "aborts_no_task": 0, "resets": 2}
        return evidence.TmrTrace(events).violations(self.books, grown)

    def test_the_trace_says_which_of_two_ended_a_command(self) -> None:
        self.assertEqual(self.preempted(3), [])

    def test_the_trace_knows_better_than_the_books(self) -> None:
        found = self.preempted(1)
        self.assertEqual(self.books.violations(), [])
        self.assertEqual(len(found), 1, found)
        self.assertIn("PREEMPT AND ABORT", found[0])
        self.assertIn("0x1 of nexus 1", found[0])

    def test_the_trace_of_an_abort_that_a_reset_has_overtaken(self) -> None:
        self.books.function(11, B, LUN_RESET)
        self.books.function(10, A, ABORT_TASK, 1)
        self.books.answer(1, TASK_ABORTED)
        self.books.answer(10, COMPLETE)
        self.books.answer(11, COMPLETE)
        self.answer(2, 3)
        events = [
            ("trx-1", "tmr_received", "LUN_RESET fabric iSCSI initiator b"),
            ("trx-2", "tmr_received", "ABORT_TASK fabric iSCSI initiator a"),
            ("kworker-3", "tmr_abort",
             f"device 1 command tag {1 << 24} opcode 0x28 initiator a, to be answered"),
            ("kworker-4", "tmr_notify", "device 1 ABORT_TASK commands 0"),
            ("kworker-3", "tmr_notify", "device 1 LUN_RESET commands 1"),
            ("kworker-3", "tmr_done", "device 1 LUN_RESET tag 0 FUNCTION_COMPLETE"),
            ("kworker-4", "tmr_done", f"device 1 ABORT_TASK tag {1 << 24} FUNCTION_COMPLETE"),
        ]  # fmt: skip
        grown = {"aborts_complete": 0, "aborts_no_task": 1, "resets": 1}
        before = {"num_cmds": 0, "aborts_complete": 0, "aborts_no_task": 0, "resets": 0}
        after = {**grown, "num_cmds": 3}
        self.assertEqual(evidence.counters(self.books, before, after), [])
        self.assertEqual(evidence.TmrTrace(events).violations(self.books, grown), [])


class Data(unittest.TestCase):
    """What may be on the medium."""

    def test_an_aborted_write_must_not_come_later(self) -> None:
        slot = medium.Slot(1, 2)
        first = slot.next_write()
        slot.written()
        slot.next_write()
        self.assertEqual(slot.check(first), "")
        self.assertIn("expected one of", slot.check(medium.pattern(1, 2, 2)))

    def test_one_that_was_given_up_may(self) -> None:
        slot = medium.Slot(1, 2)
        slot.next_write()
        slot.given_up()
        second = slot.next_write()
        slot.written()
        self.assertEqual(slot.check(second), "")
        self.assertEqual(slot.check(medium.pattern(1, 2, 1)), "")
        self.assertTrue(slot.check(bytes(medium.SIZE)))

    def test_a_torn_block(self) -> None:
        slot = medium.Slot(1, 2)
        half = slot.next_write()[: medium.SIZE // 2]
        self.assertTrue(slot.check(half + bytes(medium.SIZE // 2)))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Tests of timeline.py; run them with python3 -m unittest."""

import unittest
from typing import Any

from timeline import (
    MARK,
    OWN,
    Message,
    Step,
    TimelineError,
    abort_timeline,
    first,
    others,
    parse_kernel_log,
    ratio,
    render,
    reset_timeline,
)


def record(microseconds: int, text: str) -> str:
    """A record of /dev/kmsg."""
    return f"6,123,{microseconds},-;{text}\n SUBSYSTEM=scsi\n"


def event(seconds: float, what: str, /, **fields: Any) -> dict[str, Any]:
    """A line of the daemon's log."""
    return {"t_ns": int(seconds * 1e9), "event": what, **fields}


def read(ident: int, lba: int, seconds: float = 10.05) -> dict[str, Any]:
    """The daemon's event for a READ(10) of 8 blocks."""
    cdb = f"2800{lba:08x}00000800"
    return event(seconds, "cmd", id=ident, name="READ(10)", cdb=cdb, len=4096)


ADDRESS = "0:0:1:0"

KERNEL = [
    Message(12.9, f"sd {ADDRESS}: [sda] tag#7 abort scheduled"),
    Message(12.8, "sd 1:0:1:0: [sdb] tag#1 aborting command"),
    Message(13.0, f"sd {ADDRESS}: [sda] tag#7 aborting command"),
    Message(13.5, f"sd {ADDRESS}: [sda] tag#7 finish aborted command"),
]

#: Before the command: it must not count.
EARLIER = [event(3, "hold", id=1), event(4, "tmr", type_name="LUN_RESET", ids=[9])]


class KernelLog(unittest.TestCase):
    def test_times_move_by_the_difference_of_the_nearer_mark(self) -> None:
        messages = parse_kernel_log(
            [
                record(1_000_000, f"{MARK}11000000000"),
                record(1_500_000, "near the first"),
                record(8_500_000, "near the second"),
                record(9_000_000, f"{MARK}19500000000"),
            ]
        )
        self.assertEqual(
            [message.text for message in messages], ["near the first", "near the second"]
        )
        self.assertAlmostEqual(messages[0].time, 11.5)
        self.assertAlmostEqual(messages[1].time, 19.0)

    def test_of_marks_made_together_the_one_that_was_made_fastest_counts(self) -> None:
        # Whoever writes a mark may be interrupted between the clock and the log.
        messages = parse_kernel_log(
            [
                record(1_300_000, f"{MARK}11000000000 one"),
                record(1_302_000, f"{MARK}11300000000 one"),
                record(1_400_000, f"{MARK}11350000000 one"),
                record(1_500_000, "a message"),
                record(9_000_000, f"{MARK}19500000000 two"),
            ]
        )
        self.assertAlmostEqual(messages[0].time, 11.498)

    def test_a_log_without_a_mark_is_an_error(self) -> None:
        with self.assertRaises(TimelineError):
            parse_kernel_log([record(1, "a message")])

    def test_what_is_no_record_is_skipped(self) -> None:
        self.assertEqual(parse_kernel_log(["", " SUBSYSTEM=scsi", record(1, f"{MARK}5")]), [])

    def test_first_wants_all_parts(self) -> None:
        self.assertEqual(first(KERNEL, ADDRESS, "aborting").time, 13.0)
        with self.assertRaises(TimelineError):
            first(KERNEL, ADDRESS, "no such message")


class Aborts(unittest.TestCase):
    def test_with_notification(self) -> None:
        story = abort_timeline(
            ADDRESS, 10.0, 13.6, KERNEL,
            [
                *EARLIER,
                read(4, OWN.start),
                event(10.1, "hold", id=4),
                event(13.1, "tmr", type_name="ABORT_TASK", ids=[4]),
                event(13.2, "cancel", id=4),
                event(13.3, "complete", id=4),
            ],
        )  # fmt: skip
        self.assertEqual((story.cmd_id, story.listed), (4, (4,)))
        self.assertAlmostEqual(story.wait, 0.5)
        self.assertAlmostEqual(story.after_let_go, 0.3)
        self.assertEqual([step.who[0] for step in story.steps], list("idiiddii"))
        times = [step.time for step in story.steps]
        self.assertEqual(times, sorted(times))

    def test_without_notification(self) -> None:
        story = abort_timeline(
            ADDRESS, 10.0, 13.6, KERNEL,
            [*EARLIER, read(4, OWN.start), event(10.1, "hold", id=4), event(13.4, "complete", id=4)],
        )  # fmt: skip
        self.assertIsNone(story.listed)
        self.assertAlmostEqual(story.after_let_go, 0.1)
        self.assertIn("has executed command 4", [step.what for step in story.steps])

    def test_the_completion_of_another_command_does_not_count(self) -> None:
        with self.assertRaisesRegex(TimelineError, "complete"):
            abort_timeline(
                ADDRESS, 10.0, 13.6, KERNEL,
                [read(4, OWN.start), event(10.1, "hold", id=4), event(13.4, "complete", id=5)],
            )  # fmt: skip

    def test_an_abort_that_was_not_answered_is_an_error(self) -> None:
        with self.assertRaisesRegex(TimelineError, "finish aborted command"):
            abort_timeline(
                ADDRESS, 10.0, 13.6, KERNEL[:-1],
                [read(4, OWN.start), event(10.1, "hold", id=4), event(13.4, "complete", id=4)],
            )  # fmt: skip

    def test_reads_of_others_do_not_count(self) -> None:
        # What udev does with a disk that is new or was written to: it reads the first blocks.
        # One of its READs is held as well, and times out a little earlier.
        messages = [
            Message(12.5, f"sd {ADDRESS}: [sda] tag#3 abort scheduled"),
            Message(12.6, f"sd {ADDRESS}: [sda] tag#3 aborting command"),
            Message(13.2, f"sd {ADDRESS}: [sda] tag#3 finish aborted command"),
            *KERNEL,
        ]
        story = abort_timeline(
            ADDRESS, 10.0, 13.6, messages,
            [
                *EARLIER,
                read(3, 0, 10.01),
                event(10.02, "hold", id=3),
                read(4, OWN.start),
                event(10.1, "hold", id=4),
                event(12.7, "tmr", type_name="ABORT_TASK", ids=[3]),
                event(12.8, "cancel", id=3),
                event(12.9, "complete", id=3),
                read(3, 8, 13.0),
                event(13.05, "complete", id=3),
                event(13.1, "tmr", type_name="ABORT_TASK", ids=[4]),
                event(13.2, "cancel", id=4),
                event(13.3, "complete", id=4),
            ],
        )  # fmt: skip
        self.assertEqual((story.cmd_id, story.listed), (4, (4,)))
        self.assertEqual((story.aborted, story.let_go, story.answered), (13.0, 13.2, 13.5))

    def test_what_is_told_of_others_is_not_told_of_the_own(self) -> None:
        story = abort_timeline(
            ADDRESS, 10.0, 13.6, KERNEL,
            [
                read(3, 0),
                read(4, OWN.start),
                event(10.1, "hold", id=4),
                event(13.1, "tmr", type_name="ABORT_TASK", ids=[3]),
                event(13.4, "complete", id=4),
            ],
        )  # fmt: skip
        self.assertIsNone(story.listed)


class Resets(unittest.TestCase):
    def test_ids_and_cancels(self) -> None:
        story = reset_timeline(
            20.0, 20.5, [1, 2],
            [
                *EARLIER,
                read(1, OWN.start, 19.0),
                read(2, OWN.start + 8, 19.1),
                event(20.1, "tmr", type_name="LUN_RESET", ids=[2, 1]),
                event(20.2, "cancel", id=2),
                event(20.3, "cancel", id=1),
            ],
        )  # fmt: skip
        self.assertEqual((story.listed, story.cancelled), ((2, 1), (2, 1)))
        self.assertEqual([step.time for step in story.steps], [20.0, 20.1, 20.3, 20.5])

    def test_reads_of_others_do_not_count(self) -> None:
        # As above; and one id that was an own command's is now one of theirs.
        story = reset_timeline(
            20.0, 20.5, [1, 2],
            [
                read(1, OWN.start, 19.0),
                read(2, OWN.start + 8, 19.1),
                read(5, OWN.start + 16, 19.2),
                event(19.3, "complete", id=5),
                read(5, 0, 19.9),
                read(7, 128, 20.05),
                event(20.06, "tmr", type_name="ABORT_TASK", ids=[5]),
                event(20.1, "tmr", type_name="LUN_RESET", ids=[2, 7, 1, 5]),
                event(20.2, "cancel", id=7),
                event(20.2, "cancel", id=2),
                event(20.3, "cancel", id=1),
            ],
        )  # fmt: skip
        self.assertEqual((story.listed, story.cancelled), ((2, 1), (2, 1)))
        self.assertEqual([step.time for step in story.steps], [20.0, 20.1, 20.3, 20.5])

    def test_an_id_is_of_others_only_if_the_log_has_their_command(self) -> None:
        # The own command that was answered, an id that nothing had, and one that is there twice.
        log = [
            read(1, OWN.start, 19.0),
            read(2, OWN.start + 8, 19.1),
            read(7, 0, 19.2),
            event(19.3, "complete", id=2),
        ]
        for more in ([2], [9], [7, 7]):
            reset = event(20.1, "tmr", type_name="LUN_RESET", ids=[1, *more])
            story = reset_timeline(20.0, 20.5, [1], [*log, reset])
            self.assertEqual(story.listed, (1, more[0]))

    def test_others_are_told_by_what_they_did(self) -> None:
        log = [
            read(1, OWN.start), read(2, OWN.stop - 1), read(3, OWN.stop), read(4, 0),
            event(10.1, "cmd", id=5, name=None, cdb="a30c00000000", len=0),
            read(6, 0, 9.0),
        ]  # fmt: skip
        self.assertEqual(others(log, 10.0), "2 READ(10), 1 command 0xa3")
        self.assertEqual(others(log[:2], 10.0), "")

    def test_a_reset_without_notification_is_an_error(self) -> None:
        with self.assertRaisesRegex(TimelineError, "tmr"):
            reset_timeline(20.0, 20.5, [1], EARLIER)


class Text(unittest.TestCase):
    def test_times_count_from_the_first_step(self) -> None:
        lines = render([Step(5.0, "daemon", "one"), Step(5.25, "initiator", "two")])
        self.assertEqual(lines[0].split(), ["0.000", "s", "daemon", "one"])
        self.assertEqual(lines[1].split(), ["0.250", "s", "initiator", "two"])

    def test_ratio(self) -> None:
        self.assertEqual([ratio(3, 0.01), ratio(3, 2), ratio(1, 0)], ["300", "1.5", "1000000"])


if __name__ == "__main__":
    unittest.main()

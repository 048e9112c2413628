# SPDX-License-Identifier: GPL-2.0
"""Sends in the trace events, and what they come to."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nfslib.sends import Send, Summary, parse  # noqa: E402

FASTREG, POST, DONE = "xprtrdma_mr_fastreg", "xprtrdma_post_send", "xprtrdma_wc_send"

EVENTS = [
    ("a-1", FASTREG, "task:1@3 mr.id=389 nents=1 4964@0x86e4:0x6c5d (FROM_DEVICE)"),
    ("b-2", POST, "task:2@3 cq.id=5 cid=57 (2 SGEs)"),
    ("a-1", FASTREG, "task:1@3 mr.id=390 nents=1 4964@0x86e4:0x6c5d (FROM_DEVICE)"),
    ("a-1", POST, "task:1@3 cq.id=5 cid=58 (3 SGEs) signaled"),
    ("a-1", POST, "task:3@3 cq.id=5 cid=-59 (1 SGE)"),
    ("kworker/1:1H-140", DONE, "cq.id=5 cid=58 status=SUCCESS (0/0x0)"),
    ("kworker/1:1H-140", DONE, "cq.id=5 cid=59 status=WR_FLUSH_ERR (5/0xf)"),
]


def sends(queue: int, *requests: int) -> list[Send]:
    """Sends with so many work requests; those that are signalled are negative."""
    return [Send(queue, 1, abs(each), 2, each < 0) for each in requests]


class Parse(unittest.TestCase):
    """From events to Sends."""

    def test_each_event(self) -> None:
        self.assertEqual(parse(EVENTS), [
            Send(5, 57, 1, 2, False), Send(5, 58, 3, 3, True), Send(5, -59, 1, 1, False),
            Send(5, 58, status=0), Send(5, 59, status=5),
        ])  # fmt: skip

    def test_text_that_is_not_understood(self) -> None:
        for name in (POST, DONE):
            with self.assertRaisesRegex(AssertionError, name):
                parse([("a-1", name, "something else")])


class Sums(unittest.TestCase):
    """Ratio and gaps."""

    def test_numbers(self) -> None:
        summary = Summary(parse(EVENTS))
        self.assertEqual((summary.posted, summary.signalled, summary.completed), (3, 1, 1))
        self.assertEqual(dict(summary.requests), {1: 2, 3: 1})
        self.assertEqual(summary.usual_requests, 1)
        self.assertAlmostEqual(summary.ratio, 1 / 3)

    def test_gap_between_signalled_ones(self) -> None:
        self.assertEqual(Summary(sends(1, 1, 2, 3, -1, 4, -9)).longest_gap, 6)

    def test_gap_at_the_end(self) -> None:
        self.assertEqual(Summary(sends(1, -1, 3, 3, 3)).longest_gap, 9)

    def test_connections_are_told_apart(self) -> None:
        mixed = [each for pair in zip(sends(1, 1, 1, 1), sends(2, 1, -1, 1)) for each in pair]
        self.assertEqual(Summary(mixed).longest_gap, 3)


if __name__ == "__main__":
    unittest.main()

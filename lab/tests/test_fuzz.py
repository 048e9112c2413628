# SPDX-License-Identifier: GPL-2.0
"""What is said of a run of the fuzzer."""

import unittest

from lablib.fuzz import ran

PROGRESS = "phase 3 (quiet), 10 s: 500 mutated completions (50 a second), broke 3, wrong 0"
END = "verdict: withstood: 900 of 900 mutated completions, 45 a second, seed 1, 0 wrong"


class Ran(unittest.TestCase):
    """The line that goes into the verdict."""

    def test_the_end_counts(self) -> None:
        self.assertEqual(ran(f"{PROGRESS}\n{END}\n"), END.removeprefix("verdict: withstood: "))

    def test_an_early_end_shows_how_far_it_came(self) -> None:
        self.assertEqual(ran(f"x\n{PROGRESS}\n"), f"ended early after {PROGRESS}")

    def test_nothing_is_nothing(self) -> None:
        self.assertEqual(ran("no such line"), "no completions")

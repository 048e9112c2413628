# SPDX-License-Identifier: GPL-2.0
"""KTAP parser."""

import unittest

from lablib.ktap import Outcome, parse

GOOD = """TAP version 13
1..3
# about to start
ok 1 first test
not ok 2 - second, with a dash
ok 3 third # SKIP no device
"""


class ParseTest(unittest.TestCase):
    """What counts as a result, and what is wrong with an output."""

    def test_results_in_order(self) -> None:
        ktap = parse(GOOD)
        self.assertEqual(
            [(item.name, item.outcome) for item in ktap.results],
            [
                ("first test", Outcome.PASS),
                ("second, with a dash", Outcome.FAIL),
                ("third", Outcome.SKIP),
            ],
        )
        self.assertEqual(ktap.problems, [])

    def test_detail_belongs_to_the_next_result(self) -> None:
        ktap = parse("KTAP version 1\n1..2\n# for one\nok 1 a\n# for two\nnot ok 2 b\n")
        self.assertEqual([item.detail for item in ktap.results], ["# for one", "# for two"])

    def test_skip_reason_is_kept(self) -> None:
        self.assertEqual(parse(GOOD).results[2].detail, "no device")

    def test_missing_plan(self) -> None:
        self.assertEqual(parse("ok 1 a\n").problems, ["no plan (1..N)"])

    def test_empty_output(self) -> None:
        self.assertEqual(parse("").problems, ["no plan (1..N)"])

    def test_fewer_results_than_planned(self) -> None:
        self.assertEqual(parse("1..3\nok 1 a\n").problems, ["1 results, but the plan says 3"])

    def test_more_results_than_planned(self) -> None:
        self.assertEqual(parse("1..1\nok 1 a\nok 2 b\n").problems, ["2 results, but the plan says 1"])

    def test_numbers_out_of_sequence(self) -> None:
        self.assertEqual(parse("1..2\nok 1 a\nok 1 b\n").problems, ["result 1 where 2 was due"])

    def test_plan_at_the_end(self) -> None:
        self.assertEqual(parse("ok 1 a\n1..1\n").problems, [])

    def test_second_plan(self) -> None:
        self.assertIn("a second plan", parse("1..1\n1..1\nok 1 a\n").problems)

    def test_whole_program_skipped(self) -> None:
        ktap = parse("TAP version 13\n1..0 # SKIP needs root\n")
        self.assertEqual((ktap.skipped, ktap.results, ktap.problems), ("needs root", [], []))

    def test_bail_out(self) -> None:
        self.assertIn("bailed out: no memory", parse("1..1\nBail out! no memory\n").problems)

    def test_nested_results_do_not_count(self) -> None:
        ktap = parse("1..1\n    1..2\n    ok 1 x\n    not ok 2 y\nok 1 outer\n")
        self.assertEqual([item.name for item in ktap.results], ["outer"])
        self.assertEqual(ktap.problems, [])

    def test_expected_failure_is_no_pass(self) -> None:
        for directive in ("XFAIL", "TODO", "TIMEOUT"):
            outcome = parse(f"1..1\nok 1 a # {directive} later\n").results[0].outcome
            self.assertIs(outcome, Outcome.FAIL, directive)

    def test_hash_that_is_no_directive_is_no_result(self) -> None:
        # A name with a stray '#' must not silently pass as something else.
        self.assertEqual(parse("1..1\nok 1 a # nothing known\n").results, [])

    def test_unnamed_result(self) -> None:
        self.assertEqual(parse("1..1\nok 1\n").results[0].name, "test 1")


if __name__ == "__main__":
    unittest.main()

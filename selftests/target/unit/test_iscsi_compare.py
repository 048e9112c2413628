# SPDX-License-Identifier: GPL-2.0
"""iscsi-test-cu: reading its output, running its suites, comparing two implementations."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcmulib import libiscsi  # noqa: E402
from tcmulib.host import iscsi  # noqa: E402
from tcmulib.host.iscsi import compare, line, read_results, tally  # noqa: E402
from tcmulib.libiscsi import Outcome, Result, parse, run_suite  # noqa: E402

HEAD = """found matching LU device identifier for all (2) paths
    [SKIPPED] REPORT_SUPPORTED_OPCODES is not implemented.


     CUnit - A unit testing framework for C - Version 2.1-3
     http://cunit.sourceforge.net/


"""

OUTPUT = (
    HEAD
    + """Suite: Read10
  Test: Simple ...passed
  Test: Async ...
    [FAILED] READ10 command failed with status 2
passed
  Test: DpoFua ...    [SKIPPED] FIRST is not implemented.
    [SKIPPED] a second thing
passed
  Test: BeyondEol ...FAILED
    1. test_b.c:45  - CU_ASSERT_EQUAL(ret,0)
    2. test_b.c:46  - CU_FAIL("[WARNING] " "text - more")
  Test: Words ...    printed before
FAILED
    1. test_words.c:133  - CU_ASSERT_NOT_EQUAL(ret,0)    Send PRIN/READ_KEYS

Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      1      1    n/a      0        0
               tests      5      5      3      2        0
             asserts   5644   5644   5644      0      n/a

Elapsed time =    0.817 seconds
"""
)


class ParseTest(unittest.TestCase):
    """What counts as a test's result."""

    def test_results_in_order(self) -> None:
        run = parse(OUTPUT)
        self.assertEqual(
            run.results,
            [
                Result("Read10.Simple", Outcome.PASS),
                Result("Read10.Async", Outcome.PASS),
                Result("Read10.DpoFua", Outcome.SKIP, "FIRST is not implemented."),
                Result("Read10.BeyondEol", Outcome.FAIL, "test_b.c:45 CU_ASSERT_EQUAL(ret,0)"),
                Result("Read10.Words", Outcome.FAIL, "test_words.c:133 CU_ASSERT_NOT_EQUAL(ret,0)"),
            ],
        )
        self.assertEqual(run.contradiction(), "")

    def test_what_comes_before_a_test_belongs_to_none(self) -> None:
        self.assertEqual(parse(HEAD).results, [])

    def test_verdict_with_the_cleanup_of_the_suite_behind_it(self) -> None:
        run = parse("Suite: A\n  Test: B ...\n    x\npassed    Send PRIN/READ_KEYS\n")
        self.assertEqual(run.results, [Result("A.B", Outcome.PASS)])

    def test_word_that_only_begins_like_a_verdict(self) -> None:
        run = parse("Suite: A\n  Test: B ...passedness\nFAILED\n")
        self.assertIs(run.results[0].outcome, Outcome.FAIL)

    def test_indented_words_are_no_verdict(self) -> None:
        run = parse("Suite: A\n  Test: B ...\n    passed\n    FAILED\n")
        self.assertEqual(run.results, [Result("A.B", Outcome.NONE, "no verdict")])

    def test_failure_after_a_skipped_check_is_a_failure(self) -> None:
        run = parse("Suite: A\n  Test: B ...    [SKIPPED] x\nFAILED\n    1. b.c:1  - CU_FAIL(y)\n")
        self.assertEqual(run.results, [Result("A.B", Outcome.FAIL, "b.c:1 CU_FAIL(y)")])

    def test_program_that_ends_inside_a_test(self) -> None:
        run = parse("Suite: A\n  Test: B ...passed\n  Test: C ...\n    text\n")
        self.assertEqual([each.outcome for each in run.results], [Outcome.PASS, Outcome.NONE])
        self.assertEqual(run.contradiction(), "no summary")

    def test_summary_that_does_not_agree(self) -> None:
        shorter = OUTPUT.replace("  Test: Simple ...passed\n", "")
        self.assertIn("5 tests", parse(shorter).contradiction())
        passing = OUTPUT.replace("...FAILED", "...passed")
        self.assertIn("2 failures", parse(passing).contradiction())

    def test_a_line_reads_back(self) -> None:
        for result in (*parse(OUTPUT).results, Result("A.B", Outcome.HANG, "no end after 5 s")):
            self.assertEqual(Result.read(str(result)), result)


class ListTest(unittest.TestCase):
    """Every test is in one suite, once."""

    def test_families(self) -> None:
        listing = "ALL\nALL.A\nALL.A.x\nALL.A.y\nALL.B.x\nSCSI.A.x\nSCSI.C.z\n"
        self.assertEqual(
            libiscsi.tests(listing), {"ALL.A": ["x", "y"], "ALL.B": ["x"], "SCSI.C": ["z"]}
        )


def _summary(ran: int, failed: int) -> str:
    return f"               tests      {ran}      {ran}      {ran - failed}      {failed}      0\n"


class SuiteTest(unittest.TestCase):
    """A test that hangs or ends the program does not hide the others."""

    def run_suite(
        self, answers: dict[str, tuple[str, int | None]], names: list[str]
    ) -> list[Result]:
        self.asked: list[str] = []

        def run(pattern: str, _limit: float) -> tuple[str, int | None]:
            self.asked.append(pattern)
            return answers[pattern]

        return run_suite(run, "ALL.A", names, 5)

    def test_all_in_one_process(self) -> None:
        text = "Suite: A\n  Test: x ...passed\n  Test: y ...FAILED\n" + _summary(2, 1)
        results = self.run_suite({"ALL.A": (text, 1)}, ["x", "y"])
        self.assertEqual([each.outcome for each in results], [Outcome.PASS, Outcome.FAIL])
        self.assertEqual(self.asked, ["ALL.A"])

    def test_hang(self) -> None:
        answers: dict[str, tuple[str, int | None]] = {
            "ALL.A": ("Suite: A\n  Test: x ...passed\n  Test: y ...\n", None),
            "ALL.A.z": ("Suite: A\n  Test: z ...passed\n" + _summary(1, 0), 0),
        }
        results = self.run_suite(answers, ["x", "y", "z"])
        self.assertEqual(
            [each.outcome for each in results], [Outcome.PASS, Outcome.HANG, Outcome.PASS]
        )
        self.assertEqual(self.asked, ["ALL.A", "ALL.A.z"])

    def test_end_of_the_program(self) -> None:
        results = self.run_suite({"ALL.A": ("Suite: A\n  Test: x ...\n", -11)}, ["x"])
        self.assertEqual(results, [Result("A.x", Outcome.NONE, "no verdict, exit status -11")])

    def test_login_that_fails(self) -> None:
        answers: dict[str, tuple[str, int | None]] = {
            name: ("Failed to login to target\n", 10) for name in ("ALL.A", "ALL.A.x", "ALL.A.y")
        }
        results = self.run_suite(answers, ["x", "y"])
        self.assertEqual([each.outcome for each in results], [Outcome.NONE] * 2)
        self.assertIn("exit status 10", results[0].detail)

    def test_test_that_the_program_left_out(self) -> None:
        answers: dict[str, tuple[str, int | None]] = {
            "ALL.A": ("Suite: A\n  Test: x ...passed\n" + _summary(1, 0), 0),
            "ALL.A.y": (_summary(0, 0), 0),
        }
        results = self.run_suite(answers, ["x", "y"])
        self.assertEqual([each.outcome for each in results], [Outcome.PASS, Outcome.NONE])


def _results(**outcomes: str) -> dict[str, list[Result]]:
    """One letter for each round: Pass, Fail, Skip, Hang."""
    letters = {"P": Outcome.PASS, "F": Outcome.FAIL, "S": Outcome.SKIP, "H": Outcome.HANG}
    return {
        name: [Result(name, letters[letter]) for letter in each] for name, each in outcomes.items()
    }


class CompareTest(unittest.TestCase):
    """Rust must pass all that C passes."""

    def test_worse_and_better(self) -> None:
        rust = _results(a="P", b="F", c="P", d="S", e="H", f="F")
        c = _results(a="P", b="P", c="F", d="P", e="F", f="F")
        found = compare(rust, c)
        self.assertEqual((found.worse, found.better), (["b", "d", "e"], ["c"]))

    def test_both_unstable(self) -> None:
        found = compare(_results(a="PFFFF"), _results(a="PPPPF"))
        self.assertEqual((found.worse, found.better), ([], []))

    def test_only_rust_unstable(self) -> None:
        self.assertEqual(compare(_results(a="PPPPF"), _results(a="PPPPP")).worse, ["a"])

    def test_rust_never_passes(self) -> None:
        self.assertEqual(compare(_results(a="FF"), _results(a="FP")).worse, ["a"])

    def test_other_tests(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "b"):
            compare(_results(a="P"), _results(a="P", b="P"))

    def test_lines(self) -> None:
        self.assertEqual(line([Result("a", Outcome.SKIP, "x")]), "SKIP a x")
        unstable = [Result("a", Outcome.PASS), Result("a", Outcome.FAIL, "why")]
        self.assertEqual(line(unstable), "UNSTABLE a 1 FAIL, 1 PASS: why")
        text = "PASS a\nFAIL b why\nPASS a\nFAIL a why\n"
        self.assertEqual(tally(read_results(text)), "2 tests: 0 PASS, 1 FAIL, 0 SKIP, 1 UNSTABLE")


class MainTest(unittest.TestCase):
    """The exit status, and what is run again."""

    def main(self, *rounds: dict[str, dict[str, list[Result]]]) -> tuple[int, str]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        lab = mock.Mock()
        lab.folder = Path(folder.name)
        lab.implementations = tuple(rounds[0])
        lab.guests = 2
        self.suites: list[list[str]] = []

        def run(
            _lab: object, name: str, rounds_asked: int = 1, suites: "list[str] | None" = None
        ) -> dict[str, list[Result]]:
            self.suites.append(list(suites or []))
            return rounds[0 if rounds_asked == 1 else 1][name]

        sink = io.StringIO()
        with (
            mock.patch.object(iscsi, "_run", run),
            contextlib.redirect_stdout(sink),
        ):
            status = iscsi.main(lab, [])
        return status, sink.getvalue()

    def test_the_same(self) -> None:
        same = {name: _results(**{"A.x": "P", "A.y": "F"}) for name in ("c", "rust")}
        status, text = self.main(same)
        self.assertEqual(status, 0)
        self.assertIn("worse than c in 0 tests", text)

    def test_difference_that_stays(self) -> None:
        first = {"c": _results(**{"A.x": "P"}), "rust": _results(**{"A.x": "F"})}
        more = {"c": _results(**{"A.x": "PP"}), "rust": _results(**{"A.x": "FF"})}
        status, text = self.main(first, more)
        self.assertEqual(status, 1)
        self.assertEqual(self.suites[2:], [["ALL.A"], ["ALL.A"]])
        self.assertIn("worse: A.x", text)

    def test_difference_of_timing(self) -> None:
        first = {"c": _results(**{"A.x": "P"}), "rust": _results(**{"A.x": "F"})}
        more = {"c": _results(**{"A.x": "PF"}), "rust": _results(**{"A.x": "PF"})}
        self.assertEqual(self.main(first, more)[0], 0)

    def test_one_implementation(self) -> None:
        self.assertEqual(self.main({"rust": _results(**{"A.x": "PF"})})[0], 0)
        self.assertEqual(self.main({"rust": _results(**{"A.x": "H"})})[0], 1)


if __name__ == "__main__":
    unittest.main()

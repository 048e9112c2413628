# SPDX-License-Identifier: GPL-2.0
"""How results are counted: programs in the guest, cargo, and the last line."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import check, hostcheck, subsystem, vmcheck
from lablib.base import Cache, LabError
from lablib.hostcheck import cargo_counts
from lablib.kernel import Kernel
from lablib.report import Report
from lablib.subsystem import Subsystem
from lablib.vm import Result
from lablib.vmcheck import differences, guests_at_once, judge, programs, timeout


class JudgeTest(unittest.TestCase):
    """The results of one program, whatever way it ended."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def judge(
        self,
        output: str,
        status: int | None = 0,
        timed_out: bool = False,
        reports: list[str] | None = None,
        known: str = "",
    ) -> Report:
        (self.folder / "output").write_text(output, encoding="utf-8")
        report = Report()
        result = Result(status, timed_out, 1.0, self.folder, reports or [])
        with contextlib.redirect_stdout(io.StringIO()):
            judge(report, "a.sh", result, differences(known, "known"))
        return report

    def test_all_passed(self) -> None:
        report = self.judge("1..2\nok 1 x\nok 2 y\n")
        self.assertEqual((report.passed, report.failures), (2, []))

    def test_failed_result(self) -> None:
        report = self.judge("1..2\nok 1 x\nnot ok 2 y\n", status=1)
        self.assertEqual((report.passed, report.failures), (1, ["a.sh: y"]))

    def test_skipped_result_is_not_passed(self) -> None:
        report = self.judge("1..1\nok 1 x # SKIP why\n")
        self.assertEqual((report.passed, report.skips, report.failures), (0, ["a.sh: x"], []))

    def test_results_missing(self) -> None:
        self.assertEqual(self.judge("1..2\nok 1 x\n").failures, ["a.sh: plan"])

    def test_no_output_at_all(self) -> None:
        self.assertEqual(self.judge("").failures, ["a.sh: plan"])

    def test_exit_status_without_a_failed_result(self) -> None:
        self.assertEqual(self.judge("1..1\nok 1 x\n", status=1).failures, ["a.sh: exit"])

    def test_time_out(self) -> None:
        report = self.judge("1..2\nok 1 x\n", status=None, timed_out=True)
        self.assertEqual((report.passed, report.failures), (1, ["a.sh: plan"]))

    def test_guest_that_died(self) -> None:
        self.assertEqual(self.judge("1..1\nok 1 x\n", status=None).failures, ["a.sh: plan"])

    def test_kernel_report_fails_whatever_the_script_says(self) -> None:
        report = self.judge("1..1\nok 1 x\n", reports=["BUG: x"])
        self.assertEqual((report.passed, report.failures), (1, ["a.sh: console"]))

    def test_whole_program_skipped(self) -> None:
        report = self.judge("1..0 # SKIP no device\n", status=4)
        self.assertEqual((report.passed, report.failures, report.skips), (0, [], ["a.sh"]))

    def test_known_difference(self) -> None:
        report = self.judge("1..2\nok 1 x\nnot ok 2 y z\n", 1, known="a.sh:y *  # C is like that\n")
        self.assertEqual((report.passed, report.failures), (1, []))
        self.assertEqual(report.known, ["a.sh: y z"])

    def test_known_difference_that_was_left_out(self) -> None:
        report = self.judge("1..1\nok 1 y # SKIP oopses\n", known="a.sh:y  # C oopses\n")
        self.assertEqual((report.known, report.skips), (["a.sh: y"], []))

    def test_known_difference_of_another_program(self) -> None:
        report = self.judge("1..1\nnot ok 1 y\n", 1, known="b.sh:y  # not this one\n")
        self.assertEqual(report.failures, ["a.sh: y"])

    def test_known_difference_of_the_console(self) -> None:
        report = self.judge("1..1\nok 1 x\n", reports=["BUG: x"], known="a.sh:console  # C warns\n")
        self.assertEqual((report.failures, report.known), ([], ["a.sh: console"]))


class DifferencesTest(unittest.TestCase):
    """A difference needs a reason."""

    def test_malformed_lines(self) -> None:
        for line in ("a.sh:x", "a.sh:x  #", "a.sh  # why", ":x  # why", "a.sh:  # why", "a.sh:x # y"):
            with self.subTest(line=line), self.assertRaisesRegex(LabError, "known:2"):
                differences(f"# comment\n{line}\n", "known")

    def test_fields(self) -> None:
        (item,) = differences("a.sh:t: n*  # why\n", "known")
        self.assertEqual((item.program, item.pattern, item.reason), ("a.sh", "t: n*", "why"))


class CargoTest(unittest.TestCase):
    """Counts in the output of cargo test."""

    def test_several_targets(self) -> None:
        text = (
            "test a::b ... ok\ntest a::c ... FAILED\n"
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n"
            "test d ... ok\ntest e ... ignored\n"
            "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n"
        )
        self.assertEqual(cargo_counts(text), (2, ["a::c"], 1))

    def test_failure_whose_line_is_torn(self) -> None:
        text = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured\n"
        self.assertEqual(cargo_counts(text), (0, ["(name unknown)"], 0))

    def test_no_tests(self) -> None:
        self.assertEqual(cargo_counts("error: could not compile\n"), (0, [], 0))


class SummaryTest(unittest.TestCase):
    """The last line and the exit status."""

    @staticmethod
    def summary(report: Report) -> tuple[str, int]:
        sink = io.StringIO()
        with contextlib.redirect_stdout(sink):
            status = report.summary()
        return sink.getvalue().splitlines()[-1], status

    def test_passed(self) -> None:
        self.assertEqual(self.summary(Report(passed=3)), ("3 passed, 0 failed", 0))

    def test_failed(self) -> None:
        report = Report(passed=3, failures=["x"])
        self.assertEqual(self.summary(report), ("3 passed, 1 failed", 1))

    def test_beginning_and_end_of_a_long_detail(self) -> None:
        sink = io.StringIO()
        with contextlib.redirect_stdout(sink):
            Report().fail("x", "\n".join(f"line {number}" for number in range(100)))
        text = sink.getvalue()
        for shown in ("line 0\n", "line 99\n", "(55 lines left out)"):
            self.assertIn(shown, text)
        self.assertNotIn("line 50\n", text)

    def test_nothing_checked_is_a_failure(self) -> None:
        self.assertEqual(self.summary(Report()), ("0 passed, 0 failed", 1))

    def test_skips_and_known_differences_do_not_fail(self) -> None:
        report = Report(passed=1, skips=["a"], known=["b"])
        self.assertEqual(self.summary(report), ("1 passed, 0 failed", 0))


class SelftestFolderTest(unittest.TestCase):
    """What the selftests' Makefile and settings say."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_programs(self) -> None:
        (self.folder / "Makefile").write_text("TEST_PROGS := a.sh \\\n\tb.sh\nall:\n\t@false\n")
        for name in ("a.sh", "b.sh"):
            (self.folder / name).touch(mode=0o755)
        self.assertEqual(programs(self.folder), ["a.sh", "b.sh"])

    def test_program_that_is_missing(self) -> None:
        (self.folder / "Makefile").write_text("TEST_PROGS := a.sh\nall:\n\t@false\n")
        with self.assertRaisesRegex(LabError, "a.sh"):
            programs(self.folder)

    def test_guests_at_once(self) -> None:
        with mock.patch.dict(os.environ, {"LAB_GUESTS": "3"}):
            self.assertEqual(guests_at_once(), 3)
        for bad in ("0", "-1", "two"):
            with mock.patch.dict(os.environ, {"LAB_GUESTS": bad}):
                with self.assertRaisesRegex(LabError, "number from 1"):
                    guests_at_once()

    def test_timeout(self) -> None:
        self.assertEqual(timeout(self.folder), 45)
        (self.folder / "settings").write_text("timeout=120\n")
        self.assertEqual(timeout(self.folder), 120)


class OrderTest(unittest.TestCase):
    """Which programs run, what they are called, and which start first."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.subsystems = tuple(self.subsystem(name) for name in ("nvme", "target"))
        everything = mock.patch.object(subsystem, "everything", return_value=self.subsystems)
        everything.start()
        self.addCleanup(everything.stop)

    def subsystem(self, name: str) -> Subsystem:
        """A folder with a program of its own and one whose name others have, too."""
        folder = self.folder / name
        folder.mkdir()
        names = ("test_kunit", f"test_{name}")
        (folder / "Makefile").write_text(f"TEST_PROGS := {' '.join(names)}\n")
        for program in names:
            (folder / program).touch(mode=0o755)
        return Subsystem(folder)

    def test_names_that_two_have(self) -> None:
        labels = [program.label for program in vmcheck.matching("*")]
        wanted = ["nvme/test_kunit", "test_nvme", "target/test_kunit", "test_target"]
        self.assertEqual(labels, wanted)

    def test_patterns(self) -> None:
        for pattern, number in (("test_kunit", 2), ("nvme/*", 1), ("test_nvme", 1), ("x", 0)):
            with self.subTest(pattern):
                self.assertEqual(len(vmcheck.matching(pattern)), number)

    def test_long_ones_start_first(self) -> None:
        cache = Cache(self.folder / "cache")
        listed = vmcheck.matching("*")
        times = vmcheck.Times(cache, "fast-rust")
        self.assertEqual(times.longest_first(listed), listed)
        for label, seconds in (("nvme/test_kunit", 1), ("test_nvme", 9), ("test_target", 5)):
            times.remember(label, seconds)
        again = vmcheck.Times(cache, "fast-rust").longest_first(listed)
        wanted = ["target/test_kunit", "test_nvme", "test_target", "nvme/test_kunit"]
        self.assertEqual([program.label for program in again], wanted)
        for text in ("", "[]", '{"a": "b"}'):
            (self.folder / "cache/times/fast-rust").write_text(text)
            self.assertEqual(vmcheck.Times(cache, "fast-rust").longest_first(listed), listed)

    def test_results_come_in_the_order_of_the_programs(self) -> None:
        cache = Cache(self.folder / "cache")
        listed = vmcheck.matching("*")
        for number, program in enumerate(listed):
            vmcheck.Times(cache, "fast-rust").remember(program.label, number)
        started = []

        def run(*arguments: object, directory: Path) -> Result:
            command = arguments[2]
            assert isinstance(command, list)
            name = f"{directory.name}{command[0][1:]}"
            started.append(name)
            folder = self.folder / f"results-{len(started)}"
            folder.mkdir()
            (folder / "output").write_text(f"1..1\nok 1 {name}\n")
            return Result(0, False, 1.0, folder)

        report, sink = Report(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {"LAB_GUESTS": "1"}),
            mock.patch.object(vmcheck.vm, "run", run),
            mock.patch.object(vmcheck, "say"),
            contextlib.redirect_stdout(sink),
        ):
            guest = mock.Mock(implementation="rust")
            lab = mock.Mock(cache=cache, flavour="fast")
            vmcheck.Kselftests(lab, listed, lambda _: guest).finish(report)
        self.assertEqual(started[0], "target/test_target")
        shown = [line.split()[-1] for line in sink.getvalue().splitlines()]
        self.assertEqual(
            shown, ["nvme/test_kunit", "nvme/test_nvme", "target/test_kunit", "target/test_target"]
        )


class MainTest(unittest.TestCase):
    """The guests run beside the steps of the host, and are counted last."""

    def main(self, *steps: str, start: object = None, implementation: str = "rust") -> list[str]:
        """What happens, in order."""
        happened: list[str] = []
        guests = mock.Mock()
        guests.finish = lambda report: (happened.append("finish"), report.ok("guests"))

        def started(*_: object) -> object:
            happened.append("start")
            if isinstance(start, Exception):
                raise start
            return guests

        def host(_report: object, _lab: object, _kernel: object, chosen: list[str]) -> None:
            happened.append("host " + " ".join(chosen))

        sink = io.StringIO()
        with (
            mock.patch.object(check, "_start", started),
            mock.patch.object(check, "_host_steps", host),
            mock.patch.object(check, "say"),
            contextlib.redirect_stdout(sink),
        ):
            check.main(mock.Mock(flavour="fast"), implementation, list(steps), "*")
        return [*happened, sink.getvalue().splitlines()[-1]]

    def test_everything(self) -> None:
        steps = f"host {' '.join(check.STEPS)}"
        self.assertEqual(self.main(), ["start", steps, "finish", "1 passed, 0 failed"])

    def test_chosen_steps(self) -> None:
        self.assertEqual(self.main("style")[:-1], ["host style"])
        self.assertEqual(self.main(implementation="c")[:2], ["start", "host kselftest"])

    def test_what_the_guests_need_cannot_be_built(self) -> None:
        happened = self.main("style", "kselftest", start=LabError("why"))
        self.assertEqual(happened[1:], ["host style kselftest", "0 passed, 1 failed"])


_SUB_TESTS = """
import unittest

class Test(unittest.TestCase):
    def test(self):
        for number in range(3):
            with self.subTest(number):
                self.assertNotEqual(number, 1)
"""


class UnitTestsTest(unittest.TestCase):
    """What is counted of unit tests."""

    def test_a_sub_test_that_fails(self) -> None:
        report = Report()
        with (
            tempfile.TemporaryDirectory() as name,
            mock.patch.object(hostcheck, "CHECKOUT", Path(name)),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            (Path(name) / "test_subtests_of_a_test.py").write_text(_SUB_TESTS, encoding="utf-8")
            hostcheck._unit_tests(report, Path(name), Path(name))
        self.assertEqual((report.passed, len(report.failures)), (0, 1))
        self.assertIn("[1]", report.failures[0])


class CfiTest(unittest.TestCase):
    """The mismatch that is made on purpose on the cfi kernel."""

    def cfi(self, flavour: str, *reports: str) -> tuple[Report, int]:
        """What is reported, and how many guests were started."""
        nowhere = Path("/nowhere")
        report = Report()
        result = Result(None, False, 1.0, nowhere, list(reports))
        with (
            mock.patch.object(hostcheck.vm, "run", return_value=result) as run,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            kernel = Kernel(nowhere, nowhere, flavour, "7.3.4", nowhere)
            hostcheck.cfi_test(report, mock.Mock(), kernel)
        return report, run.call_count

    def test_caught(self) -> None:
        line = "CFI failure at lkdtm_indirect_call+0x1/0x2 [lkdtm] (target: lkdtm_increment_int)"
        report, _ = self.cfi("cfi", line, "Oops: invalid opcode: 0000 [#1] SMP")
        self.assertEqual((report.passed, report.failures), (1, []))

    def test_survived(self) -> None:
        report, _ = self.cfi("cfi")
        self.assertEqual((report.passed, len(report.failures)), (0, 1))

    def test_another_report_is_not_it(self) -> None:
        report, _ = self.cfi("cfi", "Oops: general protection fault: 0000")
        self.assertEqual((report.passed, len(report.failures)), (0, 1))

    def test_other_kernels_survive_it(self) -> None:
        report, guests = self.cfi("fast")
        self.assertEqual((report.passed, report.failures, guests), (0, [], 0))


if __name__ == "__main__":
    unittest.main()

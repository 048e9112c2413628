# SPDX-License-Identifier: GPL-2.0
"""The programs of lab run: time limits, guests, and the last line."""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import runs, subsystem, vm
from lablib.base import LabError
from lablib.subsystem import Run, Subsystem

HOST = """
def main(lab, arguments):
    if arguments:
        raise RuntimeError("wrong arguments")
    print([lab.run(name, arguments).status for name in lab.implementations], lab.guests)
    return 7
"""


class Verdict(unittest.TestCase):
    """What is said of a run that ended in some way."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def result(self, output: str, status: int, *reports: str) -> vm.Result:
        """A run that printed this and ended so."""
        (self.folder / "output").write_text(output, encoding="utf-8")
        return vm.Result(status, False, 1.0, self.folder, list(reports))

    def verdict(self, result: vm.Result, given: str = "") -> str:
        """The line."""
        return runs.verdict("rust", "fast", result, given)

    def test_a_run_that_passed(self) -> None:
        self.assertEqual(
            self.verdict(self.result("verdict: flat\nx\n", 0), "--cycles 6"),
            "verdict: flat (rust modules, fast kernel, --cycles 6, 0 kernel reports)",
        )

    def test_a_program_without_a_verdict(self) -> None:
        self.assertIn("verdict: all done (", self.verdict(self.result("x\nall done\n\n", 0)))
        self.assertIn("verdict: passed (", self.verdict(self.result("", 0)))

    def test_an_early_end_shows_how_far_it_came(self) -> None:
        line = self.verdict(self.result("phase 3, 500 completions\n", 1))
        self.assertIn("verdict: FAILED: exit status 1; phase 3, 500 completions (", line)

    def test_a_report_fails_a_script_that_succeeded(self) -> None:
        line = self.verdict(self.result("verdict: flat\n", 0, "[  1.0] BUG: bad"))
        for part in ("FAILED", "BUG: bad", "1 kernel reports"):
            self.assertIn(part, line)

    def test_leaks_are_counted_where_the_kernel_looks_for_them(self) -> None:
        result = self.result("", 0)
        (self.folder / "kmemleak").write_text("unreferenced object 0x1\n" * 2, encoding="utf-8")
        self.assertTrue(self.verdict(result).endswith("kmemleak found 2 objects)"))

    def test_the_last_of_several_lines_counts(self) -> None:
        result = self.result("verdict: 1\nother\nverdict: 2\nend\n", 0)
        self.assertEqual(runs.last_line(result, runs.VERDICT), "2")
        self.assertEqual(runs.last_line(result, "walked: "), "")


class Limit(unittest.TestCase):
    """Seconds until a guest counts as hung."""

    def test_seconds_of_the_program(self) -> None:
        run = Run("x", Path("/p"), timeout=100, per_second=5)
        for arguments, wanted in (
            ([], 100),
            (["--seconds", "10"], 150),
            (["a", "--seconds=2"], 110),
            (["--seed", "10"], 100),
        ):
            with self.subTest(arguments):
                self.assertEqual(runs.limit(run, arguments), wanted)
        self.assertEqual(runs.limit(Run("x", Path("/p"), timeout=100), ["--seconds", "10"]), 100)

    def test_no_number(self) -> None:
        for arguments in (["--seconds", "many"], ["--seconds"]):
            with self.assertRaisesRegex(LabError, "takes a number"):
                runs.limit(Run("x", Path("/p"), per_second=1), arguments)


class Main(unittest.TestCase):
    """From the name to the exit status."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "host_part.py").write_text(HOST, encoding="utf-8")
        self.addCleanup(sys.modules.pop, "host_part", None)
        self.addCleanup(sys.path.__setitem__, slice(None), sys.path[:])
        (self.folder / "output").write_text("verdict: fine\n", encoding="utf-8")
        both = ("rust", "c")
        self.runs = (
            Run("one", self.folder / "stress_one", flavour="debug"),
            Run("both", self.folder / "stress_both", implementations=both),
            Run("host", self.folder / "stress_host", host="host_part", implementations=both),
        )

    def main(
        self, name: str, *arguments: str, status: int = 0, **environment: str
    ) -> tuple[int, str, list[str]]:
        """Exit status, output, and which guests there were."""
        lab = mock.Mock(flavour="fast")
        guests = []

        def run(_cache: object, guest: vm.Guest, *_: object, **__: object) -> vm.Result:
            guests.append(f"{guest.implementation} {guest.kernel.flavour}")
            return vm.Result(status, False, 1.0, self.folder)

        lab.kernel = lambda: mock.Mock(flavour=lab.flavour)
        sink = io.StringIO()
        everything = (Subsystem(self.folder, runs=self.runs),)
        with (
            mock.patch.dict(os.environ, {"IMPL": "", "FLAVOUR": "", "LAB_GUESTS": "3", **environment}),
            mock.patch.object(subsystem, "everything", return_value=everything),
            mock.patch.object(runs.hostcheck, "build_programs"),
            mock.patch.object(runs.project, "ensure"),
            mock.patch.object(runs.vm, "run", run),
            mock.patch.object(runs.vm, "explain"),
            mock.patch.object(runs, "say"),
            contextlib.redirect_stdout(sink),
        ):
            return runs.main(lab, name, arguments), sink.getvalue(), guests

    def test_its_own_flavour(self) -> None:
        self.assertEqual(self.main("one")[2], ["rust debug"])

    def test_each_implementation(self) -> None:
        status, text, guests = self.main("both")
        self.assertEqual((status, guests), (0, ["rust fast", "c fast"]))
        self.assertTrue(text.endswith("verdict: fine (c modules, fast kernel, 0 kernel reports)\n"))
        self.assertEqual(self.main("both", IMPL="c")[2], ["c fast"])
        self.assertEqual(self.main("both", status=1)[0], 1)

    def test_a_part_on_the_host(self) -> None:
        status, text, guests = self.main("host")
        self.assertEqual((status, text, guests), (7, "[0, 0] 3\n", ["rust fast", "c fast"]))
        with self.assertRaisesRegex(LabError, "wrong arguments"):
            self.main("host", "x")

    def test_a_name_that_is_none(self) -> None:
        with self.assertRaisesRegex(LabError, "(?s)none of that name.*both"):
            self.main("nothing")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""The last line of a long run."""

import tempfile
import unittest
from pathlib import Path

from lablib import longrun, vm


class LongRun(unittest.TestCase):
    """What is said of a run that ended in some way."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def result(self, output: str, status: int, *reports: str) -> vm.Result:
        """A run that printed this and ended so."""
        (self.folder / "output").write_text(output, encoding="utf-8")
        return vm.Result(status, False, 1.0, self.folder, list(reports))

    def verdict(self, result: vm.Result, what: str = "") -> str:
        """The line on a run that just passes or fails."""
        return longrun.verdict("rust", "fast", result, longrun.passed, what)

    def test_a_run_that_passed(self) -> None:
        self.assertEqual(
            self.verdict(self.result("", 0), "600 s"),
            "verdict: passed (rust modules, fast kernel, 600 s, 0 kernel reports)",
        )

    def test_a_report_fails_a_script_that_succeeded(self) -> None:
        line = self.verdict(self.result("", 0, "[  1.0] BUG: bad"))
        self.assertIn("FAILED", line)
        self.assertIn("BUG: bad", line)
        self.assertIn("1 kernel reports", line)

    def test_leaks_are_counted_where_the_kernel_looks_for_them(self) -> None:
        result = self.result("", 0)
        (self.folder / "kmemleak").write_text("unreferenced object 0x1\n" * 2, encoding="utf-8")
        self.assertTrue(self.verdict(result).endswith("kmemleak found 2 objects)"))

    def test_the_last_of_several_lines_counts(self) -> None:
        result = self.result("ran: 1\nother\nran: 2\nend\n", 0)
        self.assertEqual(longrun.last_line(result, "ran: "), "2")
        self.assertEqual(longrun.last_line(result, "walked: "), "")


if __name__ == "__main__":
    unittest.main()

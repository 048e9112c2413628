# SPDX-License-Identifier: GPL-2.0
"""Which tests the C modules are spared, and what is said of them."""

import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcmulib.host import Result, hazards  # noqa: E402

PROGRAM = """
@suite.test("harmless")
def one(context): ...

@suite.test("hangs", limit=3, c_wedges=True)
def two(context): ...

@suite.test("no", c_wedges=False)
def three(context): ...
"""


class Hazards(unittest.TestCase):
    """Finding them, and the line on each."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_only_those_that_wedge_are_found(self) -> None:
        program = self.folder / "test_it.py"
        program.write_text(PROGRAM, encoding="utf-8")
        self.assertEqual(hazards.find(program), [hazards.Hazard("test_it.py", "hangs")])

    @staticmethod
    def result(output: str, *reports: str) -> Result:
        """A run that printed this."""
        return mock.Mock(output=output, reports=list(reports))

    def test_the_kernels_report_comes_first(self) -> None:
        result = self.result("x\nverdict: passes\n", "[  1.5] BUG: bad", "[  1.6] WARNING: worse")
        self.assertEqual(hazards.outcome(result), "BUG: bad; passes")

    def test_a_machine_that_is_gone_says_nothing(self) -> None:
        self.assertEqual(hazards.outcome(self.result("")), "the machine does not get to the end")


if __name__ == "__main__":
    unittest.main()

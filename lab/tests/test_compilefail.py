# SPDX-License-Identifier: GPL-2.0
"""Tests of lablib.compilefail."""

import unittest
from pathlib import Path

from lablib import compilefail
from lablib.base import LabError

CASE = """//@ like: a/b.o
//@ uses: output work
fn one() {
    two(); //~ E0382
}
"""

OUTPUT = """/x/case.rs:4:5: error[E0382]: use of moved value: `a`: value used here after move
/x/case.rs:9:1: error: lifetime may not live long enough
/x/other.rs:4:5: error[E0308]: mismatched types
error: aborting due to 3 previous errors
"""

SAVED = (
    "savedcmd_a/b.o := OBJTREE=/k rustc --edition=2021 -Zcrate-attr='feature(x,y)' --cfg ext_list "
    "--cfg MODULE --emit=dep-info=a/.b.o.d --emit=obj=a/b.o /src/a/b.rs ; objtool a/b.o\n\nsource\n"
)


class CompileFailTest(unittest.TestCase):
    """What is read of a case, of rustc's output and of Kbuild's commands."""

    def test_case(self) -> None:
        self.assertEqual(compilefail.expected(CASE), [(4, "E0382")])
        self.assertEqual(compilefail.setting(CASE, "uses"), "output work")
        with self.assertRaises(LabError):
            compilefail.setting(CASE, "missing")

    def test_errors_of_the_case_alone(self) -> None:
        found = compilefail.found(OUTPUT, "case.rs")
        self.assertEqual(found, [(4, "E0382"), (9, "lifetime may not live long enough")])

    def test_fits(self) -> None:
        found = compilefail.found(OUTPUT, "case.rs")
        self.assertTrue(compilefail.fits([(9, "lifetime"), (4, "E0382")], found))
        for wrong in ([], [(4, "E0382")], [(4, "E0505"), (9, "lifetime")], [(5, "E0382"), (9, "lifetime")]):
            self.assertFalse(compilefail.fits(wrong, found))

    def test_command(self) -> None:
        command = compilefail.command_of(SAVED, "a/b.rs", Path("/c/case.rs"), ["work"], Path("/t/m"))
        self.assertEqual(
            command,
            ["env", "OBJTREE=/k", "rustc", "--edition=2021", "-Zcrate-attr=feature(x,y)",
             "--cfg", "MODULE", "/c/case.rs", "--cfg", "ext_work", "--emit=metadata=/t/m",
             "--error-format=short", "--cap-lints=allow"],
        )  # fmt: skip
        with self.assertRaises(LabError):
            compilefail.command_of(SAVED, "a/c.rs", Path("/c/case.rs"), [], Path("/t/m"))


if __name__ == "__main__":
    unittest.main()

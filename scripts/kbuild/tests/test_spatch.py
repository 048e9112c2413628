# SPDX-License-Identifier: GPL-2.0
"""spatch.py: semantic patches that match, and what is said of those that do not."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SPATCH = _HERE.parent / "spatch.py"

_SOURCE = """\
#include "a.h"

static int first(int n)
{
	return n + 1;
}

static int second(int n)
{
	return first(n);
}

int third(int n)
{
	return second(n) + 3;
}
"""

_FIRST = """\
@first@
identifier n;
@@
- static int first(int n) { ... }
"""

_ADDED = """\
@added@
@@
  #include "a.h"
+ #include "b.h"
"""

#: Only a place that an earlier rule has found.
_CALL = """\
@call depends on first@
expression e;
@@
- first(e)
+ other(e)
"""

_COUNTS = "// rule first deletes 5\n// rule added deletes 0, adds 1\n// rule call deletes 1, adds 1\n"


class SpatchTest(unittest.TestCase):
    """Runs the program on a small C file."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "out.c"

    def run_on(
        self, cocci: str, source: str = _SOURCE, *options: str
    ) -> "subprocess.CompletedProcess[str]":
        (self.folder / "a.cocci").write_text(cocci, encoding="utf-8")
        (self.folder / "a.c").write_text(source, encoding="utf-8")
        return subprocess.run(
            [sys.executable, str(_SPATCH), "--name", "drivers/a.c", "--release", "7.3.4", *options,
             "--output", str(self.output), str(self.folder / "a.cocci"), str(self.folder / "a.c")],
            check=False, text=True, capture_output=True,
        )  # fmt: skip

    def refused(self, message: str, cocci: str, source: str = _SOURCE, *options: str) -> None:
        """The program fails with this one line, and leaves no output."""
        done = self.run_on(cocci, source, *options)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, rf"\Aspatch: a\.cocci: {message}\n\Z")
        self.assertFalse(self.output.exists())

    def test_matches(self) -> None:
        done = self.run_on(_COUNTS + _ADDED + _FIRST + _CALL)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        expected = _SOURCE.replace('"a.h"\n', '"a.h"\n#include "b.h"\n')
        expected = expected.replace("static int first(int n)\n{\n\treturn n + 1;\n}\n\n", "")
        self.assertEqual(self.output.read_text(), expected.replace("first(n)", "other(n)"))

    def test_matches_nothing(self) -> None:
        self.refused(
            r"rule first matches nothing \(in drivers/a\.c of Linux 7\.3\.4\)",
            _COUNTS + _ADDED + _FIRST + _CALL,
            _SOURCE.replace("first(int n)", "first(int n, int m)"),
        )

    def test_the_rule_of_several(self) -> None:
        # The include is there and the function is, the call is not.
        self.refused(
            "rule call matches nothing .*", _COUNTS + _ADDED + _FIRST + _CALL,
            _SOURCE.replace("first(n)", "n"),
        )  # fmt: skip

    def test_longer_function(self) -> None:
        self.refused(
            "rule first deletes 7 and adds 0 lines instead of 5 and 0 .*",
            "// rule first deletes 5\n" + _FIRST,
            _SOURCE.replace("\treturn n + 1;\n", "\tif (n < 0)\n\t\treturn 0;\n\treturn n + 1;\n"),
        )

    def test_additions_count(self) -> None:
        self.refused(
            "rule added deletes 0 and adds 1 lines instead of 0 and 0 .*",
            "// rule added deletes 0\n" + _ADDED,
        )

    def test_more_places(self) -> None:
        self.refused(
            "rule call deletes 2 and adds 2 lines instead of 1 and 1 .*",
            _COUNTS + _ADDED + _FIRST + _CALL,
            _SOURCE + "\nint fourth(int n)\n{\n\treturn first(n);\n}\n",
        )

    def test_every_rule_has_a_count_and_a_name(self) -> None:
        self.refused(r"rule first has no comment '// rule first deletes N' .*", _FIRST)
        self.refused("the rule in line 2 has no name .*", "\n@@\n@@\n- first\n")
        self.refused("it has no rule .*", "// nothing\n")
        one = "// rule first deletes 5\n"
        self.refused("rule first has two counts .*", one + one + _FIRST)
        self.refused("rule first is there twice .*", one + _FIRST + _FIRST)
        self.refused(
            "there is no rule other, but a count for it .*",
            one + "// rule other deletes 1\n" + _FIRST,
        )

    def test_error_of_spatch(self) -> None:
        self.refused(
            "spatch fails at rule first: .*parse error.*",
            "// rule first deletes 5\n@first@\n@@\n- static u9 (\n",
        )

    def test_no_spatch(self) -> None:
        self.refused(
            r"cannot run '/nowhere/spatch' \(Debian: coccinelle\): No such file.*",
            "// rule first deletes 5\n" + _FIRST, _SOURCE, "--spatch", "/nowhere/spatch",
        )  # fmt: skip

    def test_missing_file(self) -> None:
        done = subprocess.run(
            [sys.executable, str(_SPATCH), "--output", str(self.output), "/nowhere.cocci", "/a.c"],
            check=False, text=True, capture_output=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Aspatch: .*No such file.*'/nowhere\.cocci'\n\Z")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Two versions of a C file in one."""

import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ifdef import IfdefError, merge

_BEFORE = """\
#include "a.h"
#include "b.h"

static int one(void);
static int two(void);
int three(void);

/* One. */
static int one(void)
{
	return 1;
}

static struct x *make(int n)
{
	return n ? one() : 0;
}

static int two(void)
{
	return 2;
}

int three(int n)
{
	if (n) {
		n += one();
		n = 0;
	} else {
		n += two();
	}

	return n;
}
"""

_AFTER = """\
#include "a.h"
#include "new.h"
#include "b.h"
int three(void);

struct x *make(int n)
{
	return n ? one() : 0;
}

int three(int n)
{
	if (rust(n))
		n += one();
	else
		n += two();

	return n;
}
"""

_MERGED = """\
#include "a.h"
#ifdef S
#include "new.h"
#endif
#include "b.h"

#ifndef S
static int one(void);
static int two(void);
#endif
int three(void);

#ifndef S
/* One. */
static int one(void)
{
	return 1;
}
#endif

#ifdef S
struct x *make(int n)
#else
static struct x *make(int n)
#endif
{
	return n ? one() : 0;
}

#ifndef S
static int two(void)
{
	return 2;
}
#endif

int three(int n)
{
#ifdef S
	if (rust(n))
		n += one();
	else
		n += two();
#else
	if (n) {
		n += one();
		n = 0;
	} else {
		n += two();
	}
#endif /* S */

	return n;
}
"""


def chosen(text: str, defined: bool) -> list[str]:
    """The lines, but for blank ones, that a preprocessor leaves."""
    found, keep = [], True
    for line in text.splitlines():
        if match := re.match(r"#(ifdef|ifndef) S$", line):
            keep = (match[1] == "ifdef") == defined
        elif line == "#else":
            keep = not keep
        elif line.startswith("#endif"):
            keep = True
        elif keep and line:
            found.append(line)
    return found


class MergeTest(unittest.TestCase):
    """What depends on the symbol."""

    def merge(self, before: str, after: str) -> str:
        with tempfile.TemporaryDirectory() as name:
            paths = Path(name) / "before.c", Path(name) / "after.c"
            for path, text in zip(paths, (before, after), strict=True):
                path.write_text(text, encoding="utf-8")
            return merge("S", *paths)

    def test_reads_as_if_written_by_hand(self) -> None:
        self.assertEqual(self.merge(_BEFORE, _AFTER), _MERGED)

    def test_both_versions_are_there(self) -> None:
        for before, after in ((_BEFORE, _AFTER), (_AFTER, _BEFORE)):
            merged = self.merge(before, after)
            for text, defined in ((before, False), (after, True)):
                lines = [line for line in text.splitlines() if line]
                self.assertEqual(chosen(merged, defined), lines)

    def test_nothing_changes(self) -> None:
        self.assertEqual(self.merge(_BEFORE, _BEFORE), _BEFORE)
        self.assertEqual(self.merge("int a;\nint b;\n", "int a;\n\nint b;\n"), "int a;\nint b;\n")

    def test_long_block_says_what_it_depends_on(self) -> None:
        body = "".join(f"\tcall({number});\n" for number in range(9))
        function = f"static int f(void)\n{{\n{body}}}\n\n"
        self.assertIn("}\n#endif /* !S */\n", self.merge(f"{function}int g;\n", "int g;\n"))
        self.assertIn("}\n#endif /* S */\n", self.merge("int g;\n", f"{function}int g;\n"))

    def test_conditionals_inside(self) -> None:
        whole = "#if A\nint a;\n#else\nint b;\n# endif\n"
        merged = self.merge(f"{whole}int c;\n", "int c;\n")
        self.assertEqual(merged, f"#ifndef S\n{whole}#endif\nint c;\n")

    def test_half_of_a_conditional(self) -> None:
        for before in ("#if A\nint a;\n#endif\n", "#if A\nint b;\n#else\nint a;\n#endif\n"):
            with self.subTest(before=before), self.assertRaisesRegex(IfdefError, "half of a cond"):
                self.merge(before, "int a;\n#endif\n")

    def test_inside_a_macro(self) -> None:
        macro = "#define A(x) \\\n\tdo_this(x); \\\n\tdo_that(x)\n"
        for gone in ("\tdo_this(x); \\\n", "\tdo_that(x)\n"):
            with self.subTest(gone=gone), self.assertRaises(IfdefError):
                self.merge(macro, macro.replace(gone, ""))


if __name__ == "__main__":
    unittest.main()

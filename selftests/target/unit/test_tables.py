# SPDX-License-Identifier: GPL-2.0
"""The tables of coverage and what they are compared with."""

import os
import tempfile
import unittest
from pathlib import Path

import tables

TABLE = """\
   * - C
     - Rust
     - Tests
   * - | ``tcmu_open()``
       | ``tcmu_release()``
     - | ``tcmu/node.rs``: ``Node::open``, ``release``
     - | test_a.py: opening, twice
       | test_a.py: closing \\*
       | tcmu-logic node.rs: closes
   * - | ``tcmu_mmap()``
     - | none; ``tcmu/node.rs``: ``Node``
     - | gap: nobody can
"""

C_FILE = """\
#define helper(x) \\
	call(x)
static int declared(int x);
static DEFINE_MUTEX(lock);
/* static int in_comment(void) { */
static inline int one(struct a *b)
{
	if (b) {
		two(b);
	}
}

static struct page *two(struct a *b, int c,
			int d)
{
}

static vm_fault_t
three(void)
{
}

static const struct ops ops = {
	.open = one,
};
static int __init four(void)
{
}
"""


class RowsTest(unittest.TestCase):
    """Rows, tests and sources."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "tcmu").mkdir()
        self.write("tcmu/node.rs", "impl Node { fn open() {} fn release() {} }\n")
        self.tests = {"test_a.py": ["opening, twice", "closing it"]}

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def problems(self, table: str = TABLE, functions: "list[str] | None" = None) -> list[str]:
        return tables.problems(
            tables.rows(table), self.tests, self.folder, functions or ["tcmu_open"]
        )

    def test_rows(self) -> None:
        first, second = tables.rows(TABLE)
        self.assertEqual(first.functions, ["tcmu_open", "tcmu_release"])
        self.assertEqual(first.places, [("tcmu/node.rs", ["Node::open", "release"])])
        self.assertEqual(first.tests[1:], [("test_a.py", "closing *"), ("tcmu-logic node.rs", "closes")])
        self.assertEqual((second.tests, second.gaps), ([], ["nobody can"]))

    def test_a_good_table(self) -> None:
        self.assertEqual(self.problems(), [])

    def test_a_test_that_does_not_exist(self) -> None:
        self.tests["test_a.py"].remove("opening, twice")
        self.assertEqual(
            self.problems(),
            ["tcmu_open, tcmu_release: there is no test 'test_a.py: opening, twice'"],
        )

    def test_a_pattern_that_matches_nothing(self) -> None:
        self.tests["test_a.py"].remove("closing it")
        self.assertEqual(len(self.problems()), 1)

    def test_a_program_that_does_not_exist(self) -> None:
        del self.tests["test_a.py"]
        self.assertEqual(len(self.problems()), 2)

    def test_a_file_or_a_name_that_does_not_exist(self) -> None:
        self.write("tcmu/node.rs", "impl Node { fn opened() {} fn release() {} }\n")
        self.assertEqual(
            self.problems(), ["tcmu_open, tcmu_release: nothing in tcmu/node.rs is named open"]
        )
        (self.folder / "tcmu/node.rs").unlink()
        self.assertEqual(len(self.problems()), 2)

    def test_a_function_without_a_row(self) -> None:
        found = self.problems(functions=["tcmu_open", "tcmu_close"])
        self.assertEqual(found, ["tcmu_close() has no row"])

    def test_a_row_without_a_test(self) -> None:
        found = self.problems(TABLE.replace("     - | gap: nobody can\n", ""))
        self.assertEqual(found, ["tcmu_mmap: neither a test nor a gap"])

    def test_c_functions(self) -> None:
        self.assertEqual(tables.c_functions(C_FILE), ["one", "two", "three", "four"])

    def test_functions_that_are_not_static(self) -> None:
        text = "int one(\n\tint a)\n{\n}\nEXPORT_SYMBOL(one);\nvoid two(void)\n{\n}\n"
        self.assertEqual(tables.c_functions(text), ["one", "two"])

    def test_lines_without_a_row(self) -> None:
        code = tables.code_lines(
            "#define a\n/*\n * int no(void) {\n */\nint b;\n"
            "int one(int a)\n{\n\t/* why\n\t * not */\n\n\tif (a)\n\t\treturn 1;\n\treturn 0;\n}\n"
        )
        self.assertEqual(code, [6, 11, 12, 13])
        table = tables.rows("   * - | ``one()`` lines 6-11, lines 13\n")
        self.assertEqual(table[0].lines, [(6, 11), (13, 13)])
        self.assertEqual(tables.uncovered(table, code), ["line 12 has no row"])
        self.assertEqual(tables.uncovered(tables.rows(TABLE), code), [])

    def test_names_of_tests(self) -> None:
        self.write(
            "test_a.py",
            '@suite.test("first")\ndef a(context): ...\n'
            '@section("second")\ndef b(context): ...\n'
            '@suite.test(name)\ndef c(context): ...\n@other("x")\ndef d(): ...\n',
        )
        self.assertEqual(tables.selftests(self.folder), {"test_a.py": ["first", "second"]})


class TablesTest(unittest.TestCase):
    """The tables that there are."""

    def test_tables(self) -> None:
        # Set by the lab.
        source = os.environ.get("KERNEL_SOURCE", "")
        release = os.environ.get("KERNEL_RELEASE", "")
        tree = Path(source) if source and release.startswith(tables.RELEASE) else None
        for document in tables.TABLES:
            with self.subTest(document):
                self.assertEqual(tables.check(document, tree), [])

    def test_ways(self) -> None:
        self.assertEqual(tables.ways(), [])


if __name__ == "__main__":
    unittest.main()

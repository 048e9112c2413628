# SPDX-License-Identifier: GPL-2.0
"""Load order and warnings of the module build."""

import unittest

from lablib.base import LabError
from lablib.project import load_order, warnings


class LoadOrderTest(unittest.TestCase):
    """A module comes after those it needs."""

    def test_dependency_before_its_user(self) -> None:
        depends = {"target_core_user": ["target_core_mod", "uio"], "target_core_mod": ["configfs"]}
        self.assertEqual(load_order(depends), ["target_core_mod", "target_core_user"])

    def test_chain_against_the_alphabet(self) -> None:
        depends = {"a": ["b"], "b": ["c"], "c": []}
        self.assertEqual(load_order(depends), ["c", "b", "a"])

    def test_independent_ones_by_name(self) -> None:
        self.assertEqual(load_order({"b": [], "a": []}), ["a", "b"])

    def test_cycle(self) -> None:
        with self.assertRaisesRegex(LabError, "a -> b -> a"):
            load_order({"a": ["b"], "b": ["a"]})


class WarningsTest(unittest.TestCase):
    """Warnings of all tools are found, in whatever form they come."""

    def test_each_tool(self) -> None:
        for line in (
            "drivers/target/foo.c:1:2: warning: unused variable 'x' [-Wunused-variable]",
            "warning: unused import: `kernel::foo`",
            "warning[E0133]: call to unsafe function is unsafe",
            "WARNING: modpost: target_core_mod: section mismatch in reference",
            "drivers/target/foo.o: warning: objtool: foo+0x1: unreachable instruction",
        ):
            with self.subTest(line=line):
                self.assertEqual(warnings(["  CC      a.o", line]), [line])

    def test_place_is_named(self) -> None:
        lines = ["warning: unused variable: `x`", "  --> drivers/target/foo.rs:1:2", "   |"]
        self.assertEqual(warnings(lines), [f"{lines[0]} {lines[1].strip()}"])

    def test_other_lines(self) -> None:
        lines = [
            "  RUSTC [M] drivers/target/warning.o",
            "warning: the compiler differs from the one used to build the kernel",
            "make[1]: warning: jobserver unavailable: using -j1.",
            "warning: 2 warnings emitted",
        ]
        self.assertEqual(warnings(lines), [])


if __name__ == "__main__":
    unittest.main()

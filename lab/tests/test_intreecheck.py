# SPDX-License-Identifier: GPL-2.0
"""What make in-tree-check works on."""

import tempfile
import unittest
from pathlib import Path

from lablib import intreecheck
from lablib.sources import KernelSource


class CopyTest(unittest.TestCase):
    """The copy of the kernel source that the check works on."""

    def test_links_and_users_tree(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            source, tree = Path(name) / "source", Path(name) / "tree"
            source.mkdir()
            (source / "Makefile").write_text("one")
            intreecheck.copy_tree(KernelSource(source, "x", users=False), tree)
            self.assertTrue((tree / "Makefile").samefile(source / "Makefile"))
            users = Path(name) / "users"
            intreecheck.copy_tree(KernelSource(source, "x", users=True), users)
            self.assertFalse((users / "Makefile").samefile(source / "Makefile"))
            (source / "Makefile").write_text("two, longer")
            intreecheck.copy_tree(KernelSource(source, "x", users=True), users)
            self.assertEqual((users / "Makefile").read_text(), "two, longer")


class ChangedFoldersTest(unittest.TestCase):
    """What is compiled again after a build with warnings."""

    def test_folders_of_the_difference(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            lines = ("a/b/c.c", "a/b/d.rs", "a/Kconfig", "Kconfig")
            text = "".join(f"diff --git a/{line} b/{line}\n+x\n" for line in lines)
            (Path(name) / ".rust-subsystems.diff").write_text(text)
            self.assertEqual(intreecheck.changed_folders(Path(name)), ["a", "a/b"])


if __name__ == "__main__":
    unittest.main()

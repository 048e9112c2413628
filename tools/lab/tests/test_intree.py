# SPDX-License-Identifier: GPL-2.0
"""Putting the sources into a kernel tree: a small one that has what the edits look for."""

import os
import re
import tempfile
import unittest
from pathlib import Path

from lablib import intree, intreecheck
from lablib.errors import LabError
from lablib.sources import KernelSource

_TREE = {
    "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n",
    "rust/kernel/lib.rs": "",
    "rust/bindings/bindings_helper.h": "",
    "rust/bindgen_parameters": "",
    "drivers/target/Makefile": (
        "target_core_mod-y\t\t:= target_core_configfs.o \\\n"
        "\t\t\t\t   target_core_tmr.o \\\n"
        "\t\t\t\t   target_core_tpg.o\n\n"
        "obj-$(CONFIG_TARGET_CORE)\t+= target_core_mod.o\n\n"
        "obj-$(CONFIG_TCM_USER2)\t\t+= target_core_user.o\n"
    ),
    "drivers/target/Kconfig": 'config TCM_USER2\n\ttristate\n\nsource "drivers/target/loopback/Kconfig"\n',
    "tools/testing/selftests/Makefile": "TARGETS += sync\nTARGETS += sysctl\nTARGETS += tc-testing\n",
    "Documentation/target/index.rst": ".. toctree::\n    :maxdepth: 1\n\n    tcmu-design\n    scripts\n",
}

_WANTED = {
    "drivers/target/tcmu/tcmu.rs": "mod device;\n",
    "drivers/target/tcmu/device/mod.rs": "//! Device.\n",
    "drivers/target/Makefile.rust": "targets += x\n",
    "Documentation/target/tcmu-rust.rst": "tcmu\n",
    "Documentation/target/core-tmr.rst": "tmr\n",
    "tools/testing/selftests/target/run_tests.sh": "#!/bin/sh\n",
}


class InTreeTest(unittest.TestCase):
    """What `put` writes, what it leaves alone and what it refuses."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "linux"
        for name, text in _TREE.items():
            self.write(self.tree, name, text)
        project = Path(folder.name) / "project"
        for name, text in _WANTED.items():
            self.write(project, name, text)
        (project / "tools/testing/selftests/target/run_tests.sh").chmod(0o755)
        self.wanted = {name: project / name for name in _WANTED}

    def write(self, top: Path, name: str, text: str) -> None:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def put(self) -> intree.Changes:
        return intree.put(self.tree, self.wanted)

    def contents(self) -> dict[str, tuple[str, int]]:
        """Text and time of change of every file of the tree."""
        return {
            path.relative_to(self.tree).as_posix(): (path.read_text(), path.stat().st_mtime_ns)
            for path in sorted(self.tree.rglob("*")) if path.is_file()
        }  # fmt: skip

    def refused(self, message: str) -> None:
        before = self.contents()
        with self.assertRaisesRegex(LabError, message):
            self.put()
        self.assertEqual(self.contents(), before)

    def test_files_and_edits(self) -> None:
        changes = self.put()
        self.assertEqual(set(changes.written), {*_WANTED, *list(_TREE)[4:]})
        for name, text in _WANTED.items():
            self.assertEqual((self.tree / name).read_text(), text)
        self.assertTrue(os.access(self.tree / "tools/testing/selftests/target/run_tests.sh", os.X_OK))
        self.assertEqual(
            (self.tree / "drivers/target/Makefile").read_text(),
            "target_core_mod-y\t\t:= target_core_configfs.o \\\n"
            "\t\t\t\t   target_core_tpg.o\n\n"
            "target_core_mod-$(CONFIG_TARGET_CORE_TMR_C)\t+= target_core_tmr.o\n\n"
            "include $(src)/tmr/Makefile.rust\n"
            "include $(src)/tcmu/Makefile.rust\n"
            "include $(src)/tcmu/kunit/Makefile.rust\n"
            "include $(src)/Makefile.rust\n\n"
            "obj-$(CONFIG_TARGET_CORE)\t+= target_core_mod.o\n\n"
            "obj-$(CONFIG_TCM_USER2)\t\t+= target_core_user.o\n",
        )
        self.assertEqual(
            (self.tree / "drivers/target/Kconfig").read_text(),
            'config TCM_USER2\n\ttristate\n\n'
            'source "drivers/target/tmr/Kconfig"\n'
            'source "drivers/target/tcmu/Kconfig"\n'
            'source "drivers/target/tcmu/kunit/Kconfig"\n'
            'source "drivers/target/loopback/Kconfig"\n',
        )
        self.assertEqual(
            (self.tree / "tools/testing/selftests/Makefile").read_text(),
            "TARGETS += sync\nTARGETS += sysctl\nTARGETS += target\nTARGETS += tc-testing\n",
        )
        self.assertEqual(
            (self.tree / "Documentation/target/index.rst").read_text(),
            ".. toctree::\n    :maxdepth: 1\n\n"
            "    tcmu-design\n    core-tmr\n    tcmu-rust\n    scripts\n",
        )

    def test_second_time(self) -> None:
        self.put()
        before = self.contents()
        self.assertEqual(self.put(), intree.Changes())
        self.assertEqual(self.contents(), before)

    def test_new_version_of_a_source(self) -> None:
        self.put()
        self.wanted["drivers/target/tcmu/tcmu.rs"].write_text("mod other;\n")
        self.assertEqual(self.put().written, ["drivers/target/tcmu/tcmu.rs"])

    def test_new_document(self) -> None:
        del self.wanted["Documentation/target/core-tmr.rst"]
        self.put()
        self.wanted["Documentation/target/core-tmr.rst"] = self.tree.parent / (
            "project/Documentation/target/core-tmr.rst"
        )
        self.assertEqual(
            sorted(self.put().written),
            ["Documentation/target/core-tmr.rst", "Documentation/target/index.rst"],
        )

    def test_file_that_is_gone(self) -> None:
        self.put()
        del self.wanted["drivers/target/tcmu/device/mod.rs"]
        for built in ("tcmu/tcmu.o", "lio/bindings_generated.rs", "target_core_mod.mod.c"):
            self.write(self.tree, f"drivers/target/{built}", "")
        changes = self.put()
        self.assertEqual(changes.stale, ["drivers/target/tcmu/device/mod.rs"])
        self.assertTrue((self.tree / changes.stale[0]).exists())

    def test_hard_links_keep_their_contents(self) -> None:
        linked = self.tree.parent / "Makefile"
        os.link(self.tree / "drivers/target/Makefile", linked)
        self.put()
        self.assertEqual(linked.read_text(), _TREE["drivers/target/Makefile"])

    def test_no_kernel_tree(self) -> None:
        (self.tree / "Makefile").unlink()
        self.refused("is no kernel source")

    def test_build_folder(self) -> None:
        self.write(self.tree, "Makefile", "include ../linux/Makefile\n")
        self.refused("is no kernel source with Rust support")

    def test_other_version(self) -> None:
        for patchlevel in ("2", "4", "30"):
            makefile = _TREE["Makefile"].replace("PATCHLEVEL = 3", f"PATCHLEVEL = {patchlevel}")
            self.write(self.tree, "Makefile", makefile)
            with self.subTest(patchlevel=patchlevel):
                self.refused(rf"is Linux 7\.{patchlevel}\.4; these sources are for 7\.3")

    def test_release_candidate(self) -> None:
        makefile = _TREE["Makefile"].replace("4\nEXTRAVERSION =", "0\nEXTRAVERSION = -rc2")
        self.write(self.tree, "Makefile", makefile)
        self.assertTrue(self.put().written)

    def test_no_rust_support(self) -> None:
        (self.tree / "rust/bindgen_parameters").unlink()
        self.refused("has no rust/bindgen_parameters: its Rust support is not complete")

    def test_each_anchor_is_needed(self) -> None:
        for name, anchor in (
            ("drivers/target/Makefile", "\t\t\t\t   target_core_tmr.o \\\n"),
            ("drivers/target/Makefile", "obj-$(CONFIG_TARGET_CORE)\t+= target_core_mod.o\n"),
            ("drivers/target/Kconfig", 'source "drivers/target/loopback/Kconfig"\n'),
            ("tools/testing/selftests/Makefile", "TARGETS += sysctl\n"),
            ("Documentation/target/index.rst", "    tcmu-design\n"),
        ):
            with self.subTest(anchor=anchor.strip()):
                self.write(self.tree, name, _TREE[name].replace(anchor, ""))
                self.refused(f"{name} has the line '.*' 0 times")
                self.write(self.tree, name, _TREE[name])

    def test_anchor_twice(self) -> None:
        name = "drivers/target/Kconfig"
        self.write(self.tree, name, _TREE[name] * 2)
        self.refused("2 times instead of once")

    def test_missing_file(self) -> None:
        (self.tree / "drivers/target/Kconfig").unlink()
        self.refused("cannot read '.*/drivers/target/Kconfig': No such file")

    def test_foreign_file(self) -> None:
        self.write(self.tree, "drivers/target/tcmu/tcmu.rs", "someone else's\n")
        self.refused("exists and is not this project's")


class SourcesTest(unittest.TestCase):
    """What of this checkout goes into a tree, and where."""

    def test_places(self) -> None:
        found = intree.sources()
        for name in (
            "drivers/target/tcmu/Kconfig", "drivers/target/Makefile.rust",
            "drivers/target/tcmu/tcmu.rs", "drivers/target/tmr/target_core_tmr.rs",
            "include/target/lio_rust.h", "Documentation/target/tcmu-rust.rst",
            "tools/testing/selftests/target/Makefile",
        ):  # fmt: skip
            self.assertIn(name, found)
        # Kbuild would read it instead of the tree's Makefile.
        self.assertNotIn("drivers/target/Kbuild", found)

    def test_no_object_has_the_name_of_a_c_file(self) -> None:
        # make would compile target_core_foo.c for target_core_foo.o, whatever else is there.
        rust = [name for name in intree.sources() if name.endswith(".rs")]
        self.assertEqual([name for name in rust if name.count("/") == 2], [])

    def test_user_is_not_composite_in_c(self) -> None:
        # `target_core_user-` alone, of no objects, would keep make from the C file.
        text = intree.sources()["drivers/target/tcmu/Makefile.rust"].read_text(encoding="utf-8")
        self.assertNotIn("target_core_user-$(", re.sub("#.*", "", text))


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


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""The series of patches: a small checkout and a small tree, and what the *.toml say of ours."""

import itertools
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import series
from series import Checkout, Repository, Series, SeriesError, covers, load_all

_TREE = {
    "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n",
    "rust/kernel/lib.rs": "",
    "rust/bindings/bindings_helper.h": "",
    "rust/bindgen_parameters": "",
    "drivers/a/Makefile": "a-y := a.o\n\nobj-$(CONFIG_A) += a.o\n",
    "drivers/a/a.c": "int a(void)\n{\n\treturn 1;\n}\n",
    "drivers/z/z.c": "int x;\n\nstatic int z(void)\n{\n\treturn 1;\n}\n\nint y(void);\n",
    "drivers/z/Makefile": "obj-y += z.o\n",
    "Documentation/a/index.rst": ".. toctree::\n    :maxdepth: 1\n\n    design\n",
    "Documentation/z/index.rst": ".. toctree::\n\n   design\n",
}

_CHECKOUT = {
    "rust/ext/mod.rs": "//! Layer.\n",
    "drivers/a/Kbuild": "obj-m += a.o\n",
    "drivers/a/b/b.rs": "//! Driver.\n",
    "drivers/a/b/kunit/k.rs": "//! Tests.\n",
    "drivers/z/z.rs": "//! Other driver.\n",
    "Documentation/y/z.rst": "z\n",
    "selftests/a/run.sh": "#!/bin/sh\n",
    "selftests/lib/py/lib.py": "# Library.\n",
    "Documentation/a/b.rst": "b\n",
    "README.md": "in no patch\n",
}

_COMMON = """
outside = ["rust/tests"]
[places]
"selftests" = "tools/testing/selftests"
[[patch]]
subject = "rust: layer"
message = "Of use."
files = ["rust/ext", "selftests/lib"]
"""

_SERIES = """
version = "7.3"
title = "A in Rust"
cover = "What it is, in lines that are short and some of which become longer than others do."
outside = ["drivers/a/Kbuild"]
[[patch]]
subject = "a: fix"
message = "It gave one."
[patch.cocci]
"drivers/a/a.c" = "fix.cocci"
[[patch]]
include = "common.toml"
[[patch]]
subject = "a: driver"
message = '''
First.

Second.
'''
files = ["drivers/a"]
edits = ["a.diff"]
[[patch]]
subject = "a: tests and documents"
message = "All."
files = ["selftests/a", "drivers/a/b/kunit", "Documentation/a"]
toctree = "Documentation/a/index.rst"
"""

_OTHER = """
version = "7.3"
title = "Z in Rust"
cover = "Another."
[[patch]]
include = "common.toml"
[[patch]]
subject = "z: driver"
message = "In the place of z()."
files = ["drivers/z", "Documentation/y"]
toctree = "Documentation/z/index.rst"
[patch.cocci-if.CONFIG_Z]
"drivers/z/z.c" = "z.cocci"
"""

_Z = """\
// rule z deletes 5
@z@
@@
- static int z(void) { ... }
"""

_FIX = """\
// rule one deletes 1, adds 1
@one@
@@
- return 1;
+ return 2;
"""

_EDIT = """\
# What it is for.

--- a/drivers/a/Makefile
+++ b/drivers/a/Makefile
@@ -2,2 +2,3 @@

+include $(src)/b/Makefile
 obj-$(CONFIG_A) += a.o
"""


class SmallSeries(unittest.TestCase):
    """A checkout with a series, and a tree that it is for."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.tree = self.top / "linux"
        self.write(self.tree, _TREE)
        self.checkout = self.top / "checkout"
        self.write(self.checkout, {**_CHECKOUT, "s/a.toml": _SERIES, "s/z.toml": _OTHER,
                                   "s/common.toml": _COMMON, "s/fix.cocci": _FIX,
                                   "s/z.cocci": _Z, "s/a.diff": _EDIT})  # fmt: skip
        (self.checkout / "selftests/a/run.sh").chmod(0o755)
        (self.checkout / "selftests/a/lib").symlink_to("../lib/py")
        for command in (
            ["init", "--quiet"], ["config", "user.name", "A Name"],
            ["config", "user.email", "a@example.org"], ["config", "core.hooksPath", "/dev/null"],
            ["add", "--all"], ["commit", "--quiet", "--message", "all"],
        ):  # fmt: skip
            subprocess.run(["git", *command], cwd=self.checkout, check=True)

    def write(self, top: Path, texts: dict[str, str]) -> None:
        for name, text in texts.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def repository(self) -> Repository:
        folder = Path(tempfile.mkdtemp(dir=self.top))
        made = Repository(folder, load_all(self.checkout / "s"), self.tree, Checkout(self.checkout))
        made.commit_all()
        return made

    def put(self) -> tuple[list[str], list[str]]:
        """Applies the series to the tree by their mails."""
        made = self.repository()
        made.apply_mails(made.all_mails(self.top / "mails"))
        return made.put()

    def mails(self) -> dict[str, list[Path]]:
        return self.repository().all_mails(self.top / "mails")

    def contents(self) -> dict[str, tuple[str, int]]:
        """Text and time of change of every file of the tree."""
        return {
            path.relative_to(self.tree).as_posix(): (path.read_text(), path.stat().st_mtime_ns)
            for path in sorted(self.tree.rglob("*")) if path.is_file()
        }  # fmt: skip

    def refused(self, message: str) -> None:
        before = self.contents()
        with self.assertRaisesRegex(SeriesError, message):
            self.put()
        self.assertEqual(self.contents(), before)


class MailsTest(SmallSeries):
    """What make patches writes."""

    def test_mails(self) -> None:
        found = self.mails()["a"]
        self.assertEqual(
            [path.name for path in found],
            ["0000-cover-letter.patch", "0001-a-fix.patch", "0002-rust-layer.patch",
             "0003-a-driver.patch", "0004-a-tests-and-documents.patch"],
        )  # fmt: skip
        cover = found[0].read_text()
        self.assertIn("Subject: [PATCH 0/4] A in Rust\n", cover)
        self.assertIn("\nWhat it is, in lines that are short and some of which become longer", cover)
        self.assertNotIn("***", cover)
        driver = found[3].read_text()
        self.assertIn("From: A Name <a@example.org>\n", driver)
        self.assertIn("\nFirst.\n\nSecond.\n---\n", driver)
        # Whoever sends it signs it off.
        self.assertNotIn("Signed-off-by", driver)
        self.assertNotIn("Kbuild", driver)
        self.assertNotIn("kunit", driver)
        self.assertIn("+++ b/drivers/a/b/kunit/k.rs", found[4].read_text())

    def test_each_series_stands_alone(self) -> None:
        found = self.mails()
        self.assertEqual(
            [path.relative_to(self.top / "mails").as_posix() for path in found["z"]],
            ["z/0000-cover-letter.patch", "z/0001-rust-layer.patch", "z/0002-z-driver.patch"],
        )
        self.assertNotIn("drivers/a", "".join(path.read_text() for path in found["z"]))
        # The part that both begin with is checked once.
        both = series.different([*found["a"], *found["z"]])
        self.assertEqual(
            [path.name for path in both],
            [*(path.name for path in found["a"][1:]), "0002-z-driver.patch"],
        )

    def test_change_that_depends_on_an_option(self) -> None:
        driver = self.mails()["z"][2].read_text()
        lines = re.findall(r"^[+-](?![+-]).*", driver.partition("b/drivers/")[2], re.M)
        # The C file loses nothing.
        self.assertEqual(lines, ["+#ifndef CONFIG_Z", "+#endif", "+//! Other driver."])

    def test_old_mails_go(self) -> None:
        old = ("a/0009-old.patch", "gone/0001-b.patch", "notes")
        self.write(self.top / "mails", dict.fromkeys(old, ""))
        names = {path for found in self.mails().values() for path in found}
        left = {path for path in (self.top / "mails").rglob("*") if path.is_file()}
        self.assertEqual(left, names | {self.top / "mails/notes"})

    def test_same_mails_again(self) -> None:
        def texts() -> list[str]:
            return [path.read_text() for found in self.mails().values() for path in found]

        first = texts()
        # From a tree that has the series, too.
        self.put()
        self.assertEqual(texts(), first)

    def test_inside_a_hook(self) -> None:
        with unittest.mock.patch.dict(os.environ, {"GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/no"}):
            self.assertEqual(len(self.mails()["a"]), 5)

    def test_file_of_no_patch_and_patch_of_no_file(self) -> None:
        divided = Series.load(self.checkout / "s/a.toml").divide(list(_CHECKOUT))
        everything = [name for names in divided.values() for name in names]
        self.assertNotIn("README.md", everything)
        self.assertNotIn("drivers/a/Kbuild", everything)
        self.assertNotIn("drivers/z/z.rs", everything)
        self.write(self.checkout, {"s/common.toml": _COMMON.replace('"rust/ext"', '"rust/other"')})
        self.refused("'rust: layer': there is no file 'rust/other'")

    def test_what_is_included_is_missing(self) -> None:
        (self.checkout / "s/common.toml").unlink()
        self.refused("common.toml: .*No such file")


class InTreeTest(SmallSeries):
    """What make in-tree writes, leaves alone and refuses."""

    def test_files_and_edits(self) -> None:
        written, removed = self.put()
        self.assertEqual(removed, [])
        self.assertEqual(written, sorted([
            "Documentation/a/b.rst", "Documentation/a/index.rst", "Documentation/y/z.rst",
            "Documentation/z/index.rst", "drivers/a/Makefile",
            "drivers/a/a.c", "drivers/a/b/b.rs", "drivers/a/b/kunit/k.rs", "rust/ext/mod.rs",
            "drivers/z/z.c", "drivers/z/z.rs", "tools/testing/selftests/a/lib",
            "tools/testing/selftests/a/run.sh", "tools/testing/selftests/lib/py/lib.py",
        ]))  # fmt: skip
        for name, text in (
            ("drivers/a/a.c", _TREE["drivers/a/a.c"].replace("1", "2")),
            ("drivers/a/Makefile", "a-y := a.o\n\ninclude $(src)/b/Makefile\nobj-$(CONFIG_A) += a.o\n"),
            ("Documentation/a/index.rst", _TREE["Documentation/a/index.rst"] + "    b\n"),
            ("Documentation/z/index.rst", _TREE["Documentation/z/index.rst"] + "   ../y/z\n"),
            ("drivers/a/b/b.rs", "//! Driver.\n"),
            ("drivers/z/z.c", "int x;\n\n#ifndef CONFIG_Z\nstatic int z(void)\n{\n\treturn 1;\n}\n"
                "#endif\n\nint y(void);\n"),
            ("tools/testing/selftests/a/lib/lib.py", "# Library.\n"),
        ):  # fmt: skip
            self.assertEqual((self.tree / name).read_text(), text)
        self.assertEqual(str((self.tree / "tools/testing/selftests/a/lib").readlink()), "../lib/py")
        self.assertTrue(os.access(self.tree / "tools/testing/selftests/a/run.sh", os.X_OK))

    def test_second_time(self) -> None:
        self.put()
        before = self.contents()
        self.assertEqual(self.put(), ([], []))
        self.assertEqual(self.contents(), before)

    def test_new_version(self) -> None:
        self.put()
        self.write(self.checkout, {"drivers/a/b/b.rs": "//! Other.\n", "drivers/a/b/c.rs": "//! C.\n"})
        (self.checkout / "drivers/a/b/kunit/k.rs").rename(self.checkout / "drivers/a/b/kunit/l.rs")
        self.write(self.checkout, {"s/a.diff": _EDIT.replace("include", "-include")})
        written, removed = self.put()
        self.assertEqual(
            written,
            ["drivers/a/Makefile", "drivers/a/b/b.rs", "drivers/a/b/c.rs", "drivers/a/b/kunit/l.rs"],
        )
        self.assertEqual(removed, ["drivers/a/b/kunit/k.rs"])
        self.assertEqual((self.tree / "drivers/a/Makefile").read_text().count("include"), 1)

    def test_edit_that_is_no_more(self) -> None:
        self.put()
        self.write(self.checkout, {"s/a.toml": _SERIES.replace('edits = ["a.diff"]\n', "")})
        self.assertEqual(self.put(), (["drivers/a/Makefile"], []))
        self.assertEqual((self.tree / "drivers/a/Makefile").read_text(), _TREE["drivers/a/Makefile"])

    def test_folder_that_becomes_a_link_and_back(self) -> None:
        link = self.checkout / "selftests/a/lib"
        link.unlink()
        self.write(self.checkout, {"selftests/a/lib/lib.py": "# Own.\n"})
        self.put()
        place = self.tree / "tools/testing/selftests/a/lib"
        self.write(place, {"__pycache__/lib.pyc": ""})
        (link / "lib.py").unlink()
        link.rmdir()
        link.symlink_to("../lib/py")
        written, removed = self.put()
        self.assertEqual((written, removed), (
            ["tools/testing/selftests/a/lib"], ["tools/testing/selftests/a/lib/lib.py"]
        ))  # fmt: skip
        self.assertEqual((place / "lib.py").read_text(), "# Library.\n")
        self.assertEqual(self.put(), ([], []))

    def test_changes_of_others_stay(self) -> None:
        self.write(self.tree, {"drivers/a/Makefile": "# other\n" + _TREE["drivers/a/Makefile"]})
        self.put()
        self.write(self.tree, {"drivers/a/b/b.o": "built"})
        text = (self.tree / "drivers/a/Makefile").read_text() + "# more\n"
        self.write(self.tree, {"drivers/a/Makefile": text})
        self.assertEqual(self.put(), ([], []))
        self.assertEqual((self.tree / "drivers/a/Makefile").read_text(), text)
        self.assertTrue((self.tree / "drivers/a/b/b.o").exists())

    def test_file_of_ours_changed_in_the_tree(self) -> None:
        self.put()
        self.write(self.tree, {"drivers/a/b/b.rs": "//! Changed here.\n"})
        self.refused("has an earlier version of the series, but not as it was written there")

    def test_hard_links_keep_their_contents(self) -> None:
        linked = self.top / "Makefile"
        os.link(self.tree / "drivers/a/Makefile", linked)
        self.put()
        self.assertEqual(linked.read_text(), _TREE["drivers/a/Makefile"])

    def test_no_kernel_tree(self) -> None:
        (self.tree / "Makefile").unlink()
        self.refused("is no kernel source")

    def test_build_folder(self) -> None:
        self.write(self.tree, {"Makefile": "include ../linux/Makefile\n"})
        self.refused("is no kernel source")

    def test_other_version(self) -> None:
        for patchlevel in ("2", "4", "30"):
            makefile = _TREE["Makefile"].replace("PATCHLEVEL = 3", f"PATCHLEVEL = {patchlevel}")
            self.write(self.tree, {"Makefile": makefile})
            with self.subTest(patchlevel=patchlevel):
                self.refused(rf"is Linux 7\.{patchlevel}\.4; these sources are for 7\.3")

    def test_release_candidate(self) -> None:
        makefile = _TREE["Makefile"].replace("4\nEXTRAVERSION =", "0\nEXTRAVERSION = -rc2")
        self.write(self.tree, {"Makefile": makefile})
        self.assertTrue(self.put()[0])

    def test_no_rust_support(self) -> None:
        (self.tree / "rust/bindgen_parameters").unlink()
        self.refused("has no rust/bindgen_parameters: its Rust support is not complete")

    def test_edit_that_does_not_apply(self) -> None:
        self.write(self.tree, {"drivers/a/Makefile": "a-y := a.o\n"})
        self.refused(r"'a: driver' on Linux 7\.3\.4: a\.diff does not apply: .*drivers/a/Makefile")

    def test_semantic_patch_that_does_not_match(self) -> None:
        self.write(self.tree, {"drivers/a/a.c": _TREE["drivers/a/a.c"].replace("1", "3")})
        self.refused(
            r"'a: fix' on Linux 7\.3\.4: spatch: fix\.cocci: rule one matches nothing "
            r"\(in drivers/a/a\.c of Linux 7\.3\.4\)"
        )

    def test_change_that_cannot_depend_on_an_option(self) -> None:
        wrong = series.ifdef.IfdefError("half of it")
        with unittest.mock.patch.object(series.ifdef, "merge", side_effect=wrong):
            self.refused(r"'z: driver' on Linux .*: z\.cocci cannot depend on CONFIG_Z: half of it")

    def test_series_that_do_not_go_together(self) -> None:
        other = _OTHER.replace("[patch.", 'edits = ["z.diff"]\n[patch.')
        edit = _EDIT.replace("/b/Makefile", "/z/Makefile")
        self.write(self.checkout, {"s/z.toml": other, "s/z.diff": edit})
        self.refused("'z' does not go together with the series before it: .*drivers/a/Makefile")

    def test_missing_file(self) -> None:
        (self.tree / "drivers/a/Makefile").unlink()
        self.refused("has no drivers/a/Makefile, which the series changes")

    def test_foreign_file(self) -> None:
        self.write(self.tree, {"drivers/a/b/b.rs": "//! Someone else's.\n"})
        self.refused("exists and is not this project's")

    def test_no_identity(self) -> None:
        subprocess.run(
            ["git", "config", "user.name", ""], cwd=self.checkout, check=True
        )  # fmt: skip
        self.refused("git does not know you")


class OursTest(unittest.TestCase):
    """What of this checkout is in which patch."""

    def setUp(self) -> None:
        self.every = load_all(Path(series.__file__).parent)
        self.files = Checkout().files()
        self.divided = {each.name: each.divide(self.files) for each in self.every}
        self.places = {
            each.place(name)
            for each in self.every
            for names in self.divided[each.name].values() for name in names
        }  # fmt: skip

    def test_every_source_is_in_a_patch(self) -> None:
        # What is not for a kernel tree: these folders, and what is in none.
        own = re.compile(r"(host|lab|scripts|tools|\.ci)/|(Documentation/)?[^/]+$")
        outside = [pattern for each in self.every for pattern in each.outside]
        taken = {
            name
            for divided in self.divided.values()
            for names in divided.values() for name in names
        }  # fmt: skip
        left = [name for name in self.files if name not in taken and not own.match(name)]
        self.assertEqual(
            [name for name in left if not any(covers(pattern, name) for pattern in outside)], []
        )

    def test_series_differ_by_their_subsystem(self) -> None:
        ours = {
            each.name: {name for names in self.divided[each.name].values() for name in names}
            for each in self.every
        }  # fmt: skip
        shared = ("rust/ext/", "scripts/kbuild/", "selftests/lib/")
        for one, other in itertools.combinations(ours, 2):
            both = ours[one] & ours[other]
            self.assertTrue(both)
            self.assertEqual([name for name in both if not name.startswith(shared)], [])

    def test_kbuild_of_the_external_form(self) -> None:
        # make would read it instead of the tree's Makefile in the same folder.
        changed = {name for each in self.every for name in each.edited()}
        folders = {name.removesuffix("/Makefile") for name in changed if name.endswith("/Makefile")}
        self.assertIn("drivers/target", folders)
        self.assertEqual([name for name in folders if f"{name}/Kbuild" in self.places], [])

    def test_no_object_has_the_name_of_a_c_file(self) -> None:
        # make would compile target_core_foo.c for target_core_foo.o, whatever else is there.
        rust = [name for name in self.places if name.endswith(".rs")]
        self.assertEqual([name for name in rust if re.fullmatch(r"drivers/target/[^/]+", name)], [])

    def test_user_is_not_composite_in_c(self) -> None:
        # `target_core_user-` alone, of no objects, would keep make from the C file.
        text = (series.CHECKOUT / "drivers/target/tcmu/Makefile.rust").read_text(encoding="utf-8")
        self.assertNotIn("target_core_user-$(", re.sub("#.*", "", text))

    def test_subjects_and_messages(self) -> None:
        for patch in (patch for each in self.every for patch in each.patches):
            with self.subTest(subject=patch.subject):
                self.assertLessEqual(len(patch.subject), 75)
                self.assertRegex(patch.subject, r": [A-Z][^.]*$")
                self.assertTrue(patch.message)


if __name__ == "__main__":
    unittest.main()

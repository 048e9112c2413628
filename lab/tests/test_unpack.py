# SPDX-License-Identifier: GPL-2.0
"""Packages that are unpacked instead of installed."""

import subprocess
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from lablib import sources, unpack
from lablib.base import LAB, Cache, LabError
from lablib.subsystem import Subsystem

PACKAGES = ("nfs-common", "nfs-kernel-server")

#: A script that says what guest-init.sh makes of the folders, without the rest of it.
SHOW = """
eval "$(sed -n '/^lab_unpacked() {/,/^}/p' "$1")"
PATH=/usr/bin
unset LD_LIBRARY_PATH
lab_unpacked
echo "$PATH"
echo "${LD_LIBRARY_PATH-none}"
"""


class UnpackTest(unittest.TestCase):
    """From the packages' names to a folder, with what stands in for apt."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.scratch = Path(folder.name).resolve()
        self.cache = Cache(self.scratch / "cache")
        release = self.scratch / "os-release"
        release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
        for target in (
            mock.patch.object(unpack, "OS_RELEASE", release),
            mock.patch.object(unpack, "say"),
            mock.patch.object(sources, "say"),
        ):
            target.start()
            self.addCleanup(target.stop)

    def package(self, folder: Path, name: str) -> Path:
        """A package with one program."""
        tree = self.scratch / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
        )
        program = tree / "usr" / "sbin" / name
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        file = folder / f"{name}_1_all.deb"
        subprocess.run(["dpkg-deb", "-b", str(tree), str(file)], check=True, capture_output=True)
        return file

    def test_release(self) -> None:
        self.assertEqual(unpack.release('A=b\nVERSION_CODENAME="trixie"\n'), "trixie")
        with self.assertRaisesRegex(LabError, "VERSION_CODENAME"):
            unpack.release("ID=debian\n")

    def test_folder_names_what_is_in_it(self) -> None:
        first = unpack.folder(self.cache, PACKAGES)
        self.assertTrue(first.name.startswith("nfs-common-"))
        self.assertNotEqual(first, unpack.folder(self.cache, PACKAGES[:1]))
        unpack.OS_RELEASE.write_text("VERSION_CODENAME=trixie\n")
        self.assertNotEqual(first, unpack.folder(self.cache, PACKAGES))

    def test_unpacked_once(self) -> None:
        def fetch(_apt: object, packages: Sequence[str], folder: Path) -> list[Path]:
            folder.mkdir(parents=True)
            return [self.package(folder, name) for name in packages]

        with mock.patch.object(unpack.PrivateApt, "fetch_missing", fetch):
            target = unpack.ensure(self.cache, PACKAGES)
        for name in PACKAGES:
            self.assertTrue((target / "usr" / "sbin" / name).is_file(), name)
        self.assertEqual(target.stat().st_mode & 0o777, 0o755)
        self.assertEqual([path.name for path in target.parent.iterdir()], [target.name])
        with mock.patch.object(unpack.PrivateApt, "fetch_missing") as again:
            self.assertEqual(unpack.ensure(self.cache, PACKAGES), target)
        again.assert_not_called()

    def test_failure_leaves_nothing_that_counts_as_complete(self) -> None:
        error = LabError("downloading failed")
        with mock.patch.object(unpack.PrivateApt, "fetch_missing", side_effect=error):
            with self.assertRaisesRegex(LabError, "downloading failed"):
                unpack.ensure(self.cache, PACKAGES)
        self.assertEqual(list((self.cache.root / "unpacked").iterdir()), [])

    def test_apt_installs_nothing(self) -> None:
        mirror = sources.Mirror("http://a.example/debian", "/k.gpg")
        with (
            mock.patch.object(sources, "machine_mirror", return_value=mirror),
            mock.patch.object(sources, "logged") as logged,
        ):
            apt = sources.PrivateApt(self.cache, ("bookworm",), "bookworm")
            self.assertEqual(apt.fetch_missing(PACKAGES, self.scratch / "archives"), [])
        update, install = (call.args[1] for call in logged.call_args_list)
        self.assertEqual(update[-1], "update")
        self.assertIn("--download-only", install)
        self.assertEqual(install[-3:], ["install", *PACKAGES])
        listed = self.cache.root / "apt" / "bookworm" / "sources.list"
        self.assertEqual(
            listed.read_text(), "deb [signed-by=/k.gpg] http://a.example/debian bookworm main\n"
        )

    def test_only_subsystems_that_want_some(self) -> None:
        plain = Subsystem(Path("/s/plain"))
        wanting = Subsystem(Path("/s/nfs"), unpacked_packages=PACKAGES)
        wanted = [unpack.folder(self.cache, PACKAGES)]
        self.assertEqual(unpack.folders(self.cache, (plain, wanting)), wanted)
        with mock.patch.object(unpack, "ensure") as ensure:
            unpack.ensure_all(self.cache, (plain, wanting))
        ensure.assert_called_once_with(self.cache, PACKAGES)

    def test_guest_finds_programs_and_libraries(self) -> None:
        root = self.scratch / "root"
        (root / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)

        def shown(folders: str) -> list[str]:
            return subprocess.run(
                ["bash", "-c", SHOW, "bash", str(LAB / "guest-init.sh")],
                env={"LAB_UNPACKED": folders, "PATH": "/usr/bin:/bin"},
                check=True, text=True, capture_output=True,
            ).stdout.split()  # fmt: skip

        path, libraries = shown(str(root))
        self.assertEqual(path.split(":")[:2], ["/usr/bin", f"{root}/usr/sbin"])
        self.assertEqual(libraries, f"{root}/usr/lib/x86_64-linux-gnu")
        self.assertEqual(shown(""), ["/usr/bin", "none"])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Apt sources and versions."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import sources
from lablib.base import LabError
from lablib.sources import Mirror, pick, upstream
from lablib.tools import installed_packages

DEB822 = """Types: deb
# a comment in between
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/example.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


class SourcesTest(unittest.TestCase):
    """Both formats of sources.list(5), and the choice among what they name."""

    def test_one_line(self) -> None:
        text = "# deb http://no.example/debian x main\ndeb http://a.example/debian bookworm main\n"
        self.assertEqual(sources.one_line_sources(text), [Mirror("http://a.example/debian", "")])

    def test_one_line_with_options(self) -> None:
        text = "deb [arch=amd64 signed-by=/k.gpg] https://a.example/debian/ bookworm main"
        self.assertEqual(sources.one_line_sources(text), [Mirror("https://a.example/debian/", "/k.gpg")])

    def test_one_line_ignores_source_packages(self) -> None:
        self.assertEqual(sources.one_line_sources("deb-src http://a.example/debian x main"), [])

    def test_deb822(self) -> None:
        self.assertEqual(
            sources.deb822_sources(DEB822),
            [
                Mirror("http://mirror.example/debian", "/usr/share/keyrings/example.gpg"),
                Mirror("http://mirror.example/debian-security", ""),
            ],
        )

    def test_deb822_disabled(self) -> None:
        self.assertEqual(sources.deb822_sources("Enabled: no\n" + DEB822.partition("\n\n")[0]), [])

    def test_deb822_inline_key_is_no_file(self) -> None:
        text = "Types: deb\nURIs: http://a.example/debian\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n"
        self.assertEqual(sources.deb822_sources(text), [Mirror("http://a.example/debian", "")])

    def test_deb822_several_addresses(self) -> None:
        text = "Types: deb\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: x\n"
        self.assertEqual([item.uri for item in sources.deb822_sources(text)],
                         ["http://a.example/debian", "http://b.example/debian"])  # fmt: skip

    def test_choice_skips_security_and_third_parties(self) -> None:
        mirrors = [
            Mirror("http://x.example/debian-security", ""),
            Mirror("https://x.example/node_20.x", ""),
            Mirror("http://x.example/debian/", "/k"),
        ]
        self.assertEqual(sources.choose(mirrors), mirrors[2])

    def test_choice_takes_a_list_of_mirrors(self) -> None:
        mirror = Mirror("mirror+file:///etc/apt/mirrors/debian.list", "")
        self.assertEqual(sources.choose([mirror]), mirror)

    def test_no_mirror_is_an_error_that_says_what_to_do(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict("os.environ", clear=True):
            with self.assertRaisesRegex(LabError, "LAB_DEBIAN_MIRROR"):
                sources.machine_mirror(Path(folder))

    def test_files_of_other_suffixes_are_ignored(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.dict("os.environ", clear=True):
            parts = Path(name) / "sources.list.d"
            parts.mkdir()
            (parts / "a.sources.disabled").write_text("Types: deb\nURIs: http://no.example/debian\n")
            (parts / "b.sources").write_text(DEB822)
            self.assertEqual(sources.machine_mirror(Path(name)).uri, "http://mirror.example/debian")

    def test_private_sources_name_each_suite_with_the_key(self) -> None:
        lines = sources.sources_list(Mirror("http://a.example/debian", "/k.gpg")).splitlines()
        self.assertEqual(len(lines), len(sources.SUITES))
        self.assertIn("deb [signed-by=/k.gpg] http://a.example/debian trixie-backports main", lines)


class VersionTest(unittest.TestCase):
    """Which version of a package is taken."""

    def test_madison(self) -> None:
        text = (
            " rust-src | 1.95.0+dfsg1-2 | http://a.example trixie-backports/main amd64 Packages\n"
            " rust-src | 1.85.0+dfsg3-1 | http://a.example trixie/main amd64 Packages\n"
            "rustc | 1.85.0+dfsg3-1 | http://a.example trixie/main Sources\n"
        )
        self.assertEqual(sources.versions(text), ["1.95.0+dfsg1-2", "1.85.0+dfsg3-1"])

    def test_upstream(self) -> None:
        self.assertEqual(upstream("1.95.0+dfsg1-2~bpo13+1"), "1.95.0")
        self.assertEqual(upstream("2:7.3.4-1~bpo13+1"), "7.3.4")

    def test_pinned_version_first(self) -> None:
        self.assertEqual(pick("7.3.4-1", ["7.3.9-1", "7.3.4-1"]), "7.3.4-1")

    def test_else_the_newest_of_the_series(self) -> None:
        self.assertEqual(pick("7.3.4-1", ["7.30.1-1", "7.3.9-1", "7.3.5-1"]), "7.3.9-1")

    def test_never_another_series(self) -> None:
        self.assertIsNone(pick("7.3.4-1", ["7.30.1-1", "7.4.1-1", "6.12.3-1"]))

    def test_installed_packages(self) -> None:
        status = "make installed\nbc config-files\nflex not-installed\n"
        self.assertEqual(installed_packages(status), {"make"})


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Which files which check looks at."""

import tempfile
import unittest
from pathlib import Path

from lablib import files
from lablib.base import CHECKOUT


class KindsTest(unittest.TestCase):
    """Files are told apart by name, place and first line."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name: str, text: str = "") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def test_shell_scripts(self) -> None:
        shell = [
            self.file("a.sh"),
            self.file("run", "#!/bin/sh\nexit\n"),
            self.file("bash", "#!/usr/bin/env bash\n"),
            self.file("flag", "#!/bin/sh -e\n"),
        ]
        others = [self.file("b", "#!/usr/bin/env python3\n"), self.file("c", "sh\n"), self.file("d")]
        self.assertEqual(files.shell_scripts([*shell, *others]), shell)

    def test_kernel_style(self) -> None:
        judged = [self.file(name) for name in ("a.c", "a.h", "Kconfig", "Makefile.rust", "Kbuild", "a.sh")]
        others = [self.file(name) for name in ("a.rs", "a.py", "README.md", "fast.config")]
        self.assertEqual(files.kernel_style([*judged, *others]), judged)

    def test_rust_of_kernel_and_tools(self) -> None:
        kernel = CHECKOUT / "drivers/a.rs"
        others = [CHECKOUT / "tools/x/a.rs", CHECKOUT / "host/x/a.rs"]
        self.assertEqual(files.kernel_rust([kernel, *others]), [kernel])

    def test_cargo_workspaces(self) -> None:
        folders = [CHECKOUT / name for name in ("tools", "host", "drivers")]
        locks = [folder / "Cargo.lock" for folder in folders]
        self.assertEqual(files.cargo_workspaces(locks), folders[:2])

    def test_this_project(self) -> None:
        listed = files.project_files()
        self.assertIn(CHECKOUT / "lab/lab", listed)
        self.assertIn(CHECKOUT / ".ci/run", files.shell_scripts(listed))


if __name__ == "__main__":
    unittest.main()

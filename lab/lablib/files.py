# SPDX-License-Identifier: GPL-2.0
"""The project's own files, by kind."""

import re
from pathlib import Path

from .base import CHECKOUT
from .run import output

#: What cargo builds: programs for user space, and the logic of kernel modules with its tests.
_CARGO = ("tools", "host")

_SHELL = re.compile(rb"^#!\s*\S*(?:/|/env\s+)(?:ba|da)?sh\b")


def project_files() -> list[Path]:
    """Files that git tracks or would track, those deleted in the work tree left out."""
    listing = output(
        ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    )
    paths = (CHECKOUT / name for name in sorted(set(listing.split("\0"))) if name)
    return [path for path in paths if path.is_file()]


def kernel_rust(files: list[Path]) -> list[Path]:
    """Rust files that are built by Kbuild: all that are not built by cargo."""
    return [path for path in files if path.suffix == ".rs" and not _by_cargo(path)]


def shell_scripts(files: list[Path]) -> list[Path]:
    """Shell scripts, by suffix or by their first line."""
    return [path for path in files if path.suffix == ".sh" or _shell_shebang(path)]


def kernel_style(files: list[Path]) -> list[Path]:
    """Files that checkpatch knows how to judge."""
    names = ("Kconfig", "Makefile", "Kbuild", "Makefile.rust", "Makefile.bindgen")
    scripts = set(shell_scripts(files))
    return [
        path
        for path in files
        if path.suffix in (".c", ".h", ".mk") or path.name in names or path in scripts
    ]


def cargo_workspaces(files: list[Path]) -> list[Path]:
    """Folders with a Cargo.lock, among those that cargo builds."""
    return [path.parent for path in files if path.name == "Cargo.lock" and _by_cargo(path)]


def _by_cargo(path: Path) -> bool:
    return any(path.is_relative_to(CHECKOUT / folder) for folder in _CARGO)


def _shell_shebang(path: Path) -> bool:
    with path.open("rb") as handle:
        return bool(_SHELL.match(handle.readline(80)))

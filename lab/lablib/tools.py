# SPDX-License-Identifier: GPL-2.0
"""Programs that Debian does not have in the version needed: bindgen, virtme-ng, docutils."""

import os
import shutil
import sys
from pathlib import Path

from .errors import LabError
from .packages import LLVM_MAJOR
from .paths import Cache, key
from .run import clean_environment, locked, logged, need, output
from .say import say

BINDGEN_VERSION = "0.72.1"
VIRTME_NG_VERSION = "1.42"

#: What the checks of the documentation need.
DOCS_REQUIREMENTS = ("docutils==0.21.2", "PyYAML==6.0.3", "jsonschema==4.26.0")

#: Debian's folder of the unversioned names of one LLVM release.
LLVM_BIN = Path(f"/usr/lib/llvm-{LLVM_MAJOR}/bin")

#: The oldest rustc that the kernel supports.
_RUSTC_MINIMUM = (1, 85)


def rustc_version() -> str:
    """Version of the installed rustc, such as ``1.95.0``; LabError if there is none that serves."""
    advice = "install Rust with rustup (https://rustup.rs)"
    for program in ("rustc", "cargo", "rustfmt", "cargo-clippy"):
        need(program, advice)
    words = output(["rustc", "--version"]).split()
    version = words[1] if len(words) > 1 else ""
    try:
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        numbers = ()
    if numbers < _RUSTC_MINIMUM:
        raise LabError(f"rustc {version} is older than 1.85, the kernel's minimum; update with rustup")
    return version


def bindgen(cache: Cache) -> Path:
    """Folder with bindgen, built with cargo when missing."""
    root = cache.root / "tools" / f"bindgen-{BINDGEN_VERSION}"
    if not (root / "bin" / "bindgen").is_file():
        with locked(cache, "bindgen"):
            if not (root / "bin" / "bindgen").is_file():
                say(f"building bindgen {BINDGEN_VERSION} (about a minute)")
                env = clean_environment([LLVM_BIN])
                logged(
                    "bindgen",
                    ["cargo", "install", "--locked", "--root", str(root),
                     "--target-dir", str(cache.folder("tools", "bindgen-target")),
                     "--version", BINDGEN_VERSION, "bindgen-cli"],
                    cache.folder("log") / "bindgen.log",
                    env,
                )  # fmt: skip
                shutil.rmtree(cache.root / "tools" / "bindgen-target", ignore_errors=True)
    return root / "bin"


def virtme_ng(cache: Cache) -> Path:
    """Path of a vng command that works without any PATH of its own."""
    root = cache.root / "tools" / f"virtme-ng-{VIRTME_NG_VERSION}"
    command = root / "vng"
    if not command.is_file():
        with locked(cache, "virtme-ng"):
            if not command.is_file():
                say(f"installing virtme-ng {VIRTME_NG_VERSION} into its own environment")
                _install_virtme_ng(cache, root, command)
    return command


def docs(cache: Cache) -> Path:
    """Path of a python that has `DOCS_REQUIREMENTS`."""
    root = cache.root / "tools" / f"docs-{key(*DOCS_REQUIREMENTS)}"
    complete = root / "complete"
    if not complete.is_file():
        with locked(cache, "docs"):
            if not complete.is_file():
                say(f"installing {', '.join(DOCS_REQUIREMENTS)} into an environment of their own")
                _python_environment(cache, "docs", root / "venv", DOCS_REQUIREMENTS)
                complete.touch()
    return root / "venv" / "bin" / "python"


def _python_environment(cache: Cache, name: str, venv: Path, requirements: tuple[str, ...]) -> None:
    logs = cache.folder("log")
    env = clean_environment()
    logged(
        f"the environment of {name}",
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        logs / f"{name}-venv.log",
        env,
    )
    logged(
        name,
        [str(venv / "bin" / "pip"), "install", "--disable-pip-version-check", *requirements],
        logs / f"{name}.log",
        env,
    )


def _install_virtme_ng(cache: Cache, root: Path, command: Path) -> None:
    venv = root / "venv"
    _python_environment(cache, "virtme-ng", venv, (f"virtme-ng=={VIRTME_NG_VERSION}",))
    # vng looks for its other commands in PATH. Written last: it marks the
    # installation as complete.
    partial = root / "vng.partial"
    partial.write_text(
        f'#!/bin/sh\nPATH="{venv}/bin:$PATH"\nexport PATH\nexec "{venv}/bin/vng" "$@"\n',
        encoding="utf-8",
    )
    partial.chmod(0o755)
    partial.rename(command)


def build_environment(cache: Cache) -> dict[str, str]:
    """Environment of a kernel build: LLVM and bindgen of the right version come first."""
    env = clean_environment([LLVM_BIN, bindgen(cache)])
    env["LIBCLANG_PATH"] = str(LLVM_BIN.parent / "lib")
    return env


def toolchain() -> list[str]:
    """Versions of all that shapes a build's output: part of every cache key."""
    clang = LLVM_BIN / "clang"
    if not os.access(clang, os.X_OK):
        raise LabError(f"{clang} is missing; install the package clang-{LLVM_MAJOR}")
    return [
        output([str(clang), "--version"]).splitlines()[0],
        output(["rustc", "--version"]),
        f"bindgen {BINDGEN_VERSION}",
    ]

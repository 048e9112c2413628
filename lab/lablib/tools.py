# SPDX-License-Identifier: GPL-2.0
"""What is installed: Debian packages, and programs that Debian does not have in the version needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import subsystem
from .base import Cache, LabError, key, say
from .run import clean_environment, locked, logged, need, output

#: Major version of clang, lld and libclang. rustc's own LLVM must not be newer
#: (the kernel's RUST_INLINE_HELPERS links bitcode of the two).
LLVM_MAJOR = 22

PACKAGES = (
    # compiler and what a kernel build calls
    f"clang-{LLVM_MAJOR}", f"lld-{LLVM_MAJOR}", f"llvm-{LLVM_MAJOR}", f"libclang-{LLVM_MAJOR}-dev",
    "gcc", "libc6-dev", "make", "flex", "bison", "bc", "perl", "cpio", "kmod", "rsync", "zstd",
    "xz-utils", "libelf-dev", "libssl-dev", "ca-certificates", "debian-archive-keyring",
    # semantic patches
    "coccinelle",
    # virtual machine
    "qemu-system-x86", "python3-venv", "procps", "iproute2",
    # checks
    "shellcheck",
)  # fmt: skip


def wanted_packages() -> list[str]:
    """All packages: PACKAGES and those of the subsystems."""
    theirs = (name for each in subsystem.everything() for name in each.packages)
    return list(dict.fromkeys([*PACKAGES, *theirs]))


def installed_packages(status: str) -> set[str]:
    """Names of installed packages in the output of dpkg-query (see `query`)."""
    names = set()
    for line in status.splitlines():
        name, _, state = line.partition(" ")
        if state == "installed":
            names.add(name)
    return names


def missing_packages() -> list[str]:
    """Those of `wanted_packages` that are not installed; LabError if this is no Debian system."""
    if shutil.which("dpkg-query") is None:
        raise LabError(
            "dpkg-query is not in PATH: the lab installs Debian packages and needs Debian "
            "(or a Debian container) around it"
        )
    names = wanted_packages()
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names]
    # The status is non-zero when a package is unknown, which is an answer too.
    done = subprocess.run(query, check=False, text=True, capture_output=True)
    have = installed_packages(done.stdout)
    return [name for name in names if name not in have]


def ensure_packages(cache: Cache) -> None:
    """Installs what is missing as root; else says which command does and stops."""
    names = missing_packages()
    if not names:
        return
    if os.geteuid() != 0:
        raise LabError(
            "packages are missing and this is not root; run this and start again:\n\n"
            f"    sudo apt-get install --no-install-recommends {' '.join(names)}\n"
        )
    with locked(cache, "packages"):
        names = missing_packages()
        if not names:
            return
        say(f"installing {len(names)} Debian packages: {' '.join(names)}")
        env = clean_environment()
        env["DEBIAN_FRONTEND"] = "noninteractive"
        logs = cache.folder("log")
        logged("apt-get update", ["apt-get", "update"], logs / "apt-update.log", env)
        logged(
            "apt-get install",
            ["apt-get", "install", "--yes", "--no-install-recommends", *names],
            logs / "apt-install.log",
            env,
        )


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

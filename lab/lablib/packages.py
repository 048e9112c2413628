# SPDX-License-Identifier: GPL-2.0
"""The Debian packages that the lab and the subsystems need."""

import os
import shutil
import subprocess

from . import subsystem
from .errors import LabError
from .paths import Cache
from .run import clean_environment, locked, logged
from .say import say

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


def wanted() -> list[str]:
    """All packages: PACKAGES and those of the subsystems."""
    theirs = (name for each in subsystem.everything() for name in each.packages)
    return list(dict.fromkeys([*PACKAGES, *theirs]))


def installed(status: str) -> set[str]:
    """Names of installed packages in the output of dpkg-query (see `query`)."""
    names = set()
    for line in status.splitlines():
        name, _, state = line.partition(" ")
        if state == "installed":
            names.add(name)
    return names


def missing() -> list[str]:
    """Those of `wanted` that are not installed; LabError if this is no Debian system."""
    if shutil.which("dpkg-query") is None:
        raise LabError(
            "dpkg-query is not in PATH: the lab installs Debian packages and needs Debian "
            "(or a Debian container) around it"
        )
    names = wanted()
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names]
    # The status is non-zero when a package is unknown, which is an answer too.
    done = subprocess.run(query, check=False, text=True, capture_output=True)
    have = installed(done.stdout)
    return [name for name in names if name not in have]


def ensure(cache: Cache) -> None:
    """Installs what is missing as root; else says which command does and stops."""
    names = missing()
    if not names:
        return
    if os.geteuid() != 0:
        raise LabError(
            "packages are missing and this is not root; run this and start again:\n\n"
            f"    sudo apt-get install --no-install-recommends {' '.join(names)}\n"
        )
    with locked(cache, "packages"):
        names = missing()
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

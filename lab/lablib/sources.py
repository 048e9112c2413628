# SPDX-License-Identifier: GPL-2.0
"""Sources: the kernel's, and those of Rust's core library for the installed rustc."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .apt import PrivateApt
from .errors import LabError
from .paths import Cache, file_name
from .run import clean_environment, locked, logged, output
from .say import say
from .tools import rustc_version

KERNEL_PACKAGE = "linux-source-7.3"

#: The package version that everything was tested with; another 7.3.x is taken
#: when the mirror no longer has it.
KERNEL_PINNED = "7.3.4-1~bpo13+1"


@dataclass(frozen=True)
class KernelSource:
    """A kernel tree and the text that tells it from others in cache keys."""

    path: Path
    identity: str
    #: The user's own tree: it may change at any time, so make decides what is stale.
    users: bool


def upstream(version: str) -> str:
    """``1.95.0`` of the package version ``1.95.0+dfsg1-2~bpo13+1``."""
    match = re.match(r"(?:\d+:)?([0-9.]+)", version)
    return match.group(1).rstrip(".") if match else ""


def pick(wanted: str, available: list[str]) -> str | None:
    """`wanted` itself if available, else the first (newest) of the same series, else None."""
    if wanted in available:
        return wanted
    series = ".".join(upstream(wanted).split(".")[:2])
    for version in available:
        if upstream(version) == series or upstream(version).startswith(series + "."):
            return version
    return None


def kernel_version(tree: Path) -> str:
    """Version from the top-level Makefile of a kernel tree; LabError if it is none."""
    try:
        text = (tree / "Makefile").read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"'{tree}' is no kernel source: {error.strerror}: Makefile") from error
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) = ?(.*)$", text, re.M))
    if not fields.get("VERSION") or not (tree / "rust" / "kernel").is_dir():
        raise LabError(f"'{tree}' is no kernel source with Rust support")
    return (
        f"{fields['VERSION']}.{fields.get('PATCHLEVEL', '0')}.{fields.get('SUBLEVEL', '0')}"
        f"{fields.get('EXTRAVERSION', '')}"
    )


def kernel(cache: Cache, apt: PrivateApt) -> KernelSource:
    """The kernel source: the tree that ``KDIR=`` names, else Debian's, fetched when missing."""
    own = os.environ.get("KDIR")
    # `make env` prints a KDIR too; set in the environment, it means the same tree again.
    if own and (tree := Path(own).resolve()).parent != (cache.root / "src").resolve():
        return KernelSource(tree, f"{tree} {kernel_version(tree)}", users=True)
    with locked(cache, "kernel-source"):
        tree = _debian_kernel(cache, apt)
    return KernelSource(tree.resolve(), tree.name, users=False)


def _debian_kernel(cache: Cache, apt: PrivateApt) -> Path:
    folder = cache.folder("src")
    pinned = folder / file_name(f"{KERNEL_PACKAGE}_{KERNEL_PINNED}")
    if pinned.is_dir():
        return pinned
    series = f"{KERNEL_PACKAGE}_"
    if others := sorted(path for path in folder.iterdir() if path.name.startswith(series)):
        return others[-1]
    available = apt.available(KERNEL_PACKAGE)
    version = pick(KERNEL_PINNED, available)
    if version is None:
        raise LabError(
            f"the Debian mirror has no {KERNEL_PACKAGE} (wanted {KERNEL_PINNED}, "
            f"found {', '.join(available) or 'nothing'}); give a 7.3 kernel tree with KDIR="
        )
    package = apt.fetch(KERNEL_PACKAGE, version)
    target = folder / file_name(f"{KERNEL_PACKAGE}_{version}")
    say(f"unpacking {package.name}")
    with tempfile.TemporaryDirectory(dir=folder, prefix="unpack-") as scratch:
        log = cache.folder("log") / "unpack-kernel.log"
        env = clean_environment()
        logged("unpacking", ["dpkg", "-x", str(package), scratch], log, env)
        archives = sorted(Path(scratch).glob("usr/src/linux-source-*.tar.*"))
        if len(archives) != 1:
            raise LabError(f"{package} has {len(archives)} kernel archives instead of one")
        logged("unpacking", ["tar", "-C", scratch, "-xf", str(archives[0])], log, env)
        trees = [path.parent for path in Path(scratch).glob("*/Makefile")]
        if len(trees) != 1:
            raise LabError(f"{archives[0].name} holds {len(trees)} trees instead of one")
        trees[0].rename(target)
    return target


def rust_library(cache: Cache, apt: PrivateApt) -> Path:
    """Folder `library` of the Rust sources that match the installed rustc."""
    version = rustc_version()
    sysroot = Path(output(["rustc", "--print", "sysroot"]))
    for own in (sysroot / "lib/rustlib/src/rust/library", cache.root / "rust-src" / version / "library"):
        if (own / "core" / "src" / "lib.rs").is_file():
            return own
    with locked(cache, "rust-src"):
        found = [item for item in apt.available("rust-src") if upstream(item) == version]
        if found:
            return _debian_rust_library(cache, apt.fetch("rust-src", found[0]), version)
    raise LabError(
        f"the Debian mirror has no rust-src {version} for the installed rustc; "
        "run 'rustup component add rust-src' and start again"
    )


def _debian_rust_library(cache: Cache, package: Path, version: str) -> Path:
    target = cache.root / "rust-src" / version
    if (target / "library").is_dir():
        return target / "library"
    say(f"unpacking {package.name}")
    parent = cache.folder("rust-src")
    with tempfile.TemporaryDirectory(dir=parent, prefix="unpack-") as scratch:
        log = cache.folder("log") / "unpack-rust-src.log"
        logged("unpacking", ["dpkg", "-x", str(package), scratch], log, clean_environment())
        libraries = sorted(Path(scratch).glob("usr/src/rustc-*/library"))
        if len(libraries) != 1:
            raise LabError(f"{package} has {len(libraries)} library folders instead of one")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        libraries[0].rename(target / "library")
    return target / "library"

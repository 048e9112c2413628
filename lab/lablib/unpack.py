# SPDX-License-Identifier: GPL-2.0
"""Debian packages that are unpacked below the cache instead of installed.

Installing them would start services on the machine, or they must not be there for good. Guests
find their programs and libraries by PATH and LD_LIBRARY_PATH: see guest-init.sh. They are of the
machine's own Debian release, so that they work with its libraries.
"""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .base import Cache, LabError, file_name, key, say
from .run import clean_environment, locked, logged
from .sources import PrivateApt
from .subsystem import Subsystem

OS_RELEASE = Path("/etc/os-release")


def release(text: str) -> str:
    """Name of the Debian release in the text of os-release(5); LabError if there is none."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = fields.get("VERSION_CODENAME", "").strip("\"'")
    if not name:
        raise LabError(f"{OS_RELEASE} has no VERSION_CODENAME: which Debian release is this?")
    return name


def folder(cache: Cache, packages: Sequence[str]) -> Path:
    """Where `packages` are, or will be, unpacked."""
    name = release(OS_RELEASE.read_text(encoding="utf-8"))
    return cache.root / "unpacked" / f"{file_name(packages[0])}-{key(name, *packages)}"


def folders(cache: Cache, subsystems: Iterable[Subsystem]) -> list[Path]:
    """Where the packages of `subsystems` are."""
    return [folder(cache, each.unpacked_packages) for each in subsystems if each.unpacked_packages]


def ensure(cache: Cache, packages: Sequence[str]) -> Path:
    """Folder with `packages`, and with the packages that they need and this machine lacks."""
    target = folder(cache, packages)
    if not target.is_dir():
        with locked(cache, "unpacked"):
            if not target.is_dir():
                _unpack(cache, packages, target)
    return target


def ensure_all(cache: Cache, subsystems: Iterable[Subsystem]) -> None:
    """The same for what each of `subsystems` wants."""
    for each in subsystems:
        if each.unpacked_packages:
            ensure(cache, each.unpacked_packages)


def _unpack(cache: Cache, packages: Sequence[str], target: Path) -> None:
    name = release(OS_RELEASE.read_text(encoding="utf-8"))
    apt = PrivateApt(cache, (name,), name)
    say(f"downloading {' '.join(packages)}, to be unpacked and not installed")
    parent = cache.folder("unpacked")
    with tempfile.TemporaryDirectory(dir=parent, prefix="unpack-") as scratch:
        files = apt.fetch_missing(packages, Path(scratch) / "archives")
        root = Path(scratch) / "root"
        # A machine that has them all installed needs none: an empty folder is right then.
        root.mkdir()
        for file in files:
            logged(
                f"unpacking {file.name}",
                ["dpkg", "-x", str(file), str(root)],
                cache.folder("log") / "unpack-packages.log",
                clean_environment(),
            )
        shutil.rmtree(Path(scratch) / "archives")
        # Others may look into it as well; dpkg has made it as private as the scratch folder.
        root.chmod(0o755)
        # Last: what is there is complete.
        root.rename(target)

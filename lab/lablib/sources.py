# SPDX-License-Identifier: GPL-2.0
"""Sources: the kernel's, and those of Rust's core library for the installed rustc.

Both are packages of a newer Debian suite, fetched without touching the system's own sources: a
private apt configuration below the cache names the suite; the mirror's address and its key come
from the machine's own.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .base import Cache, LabError, file_name, say
from .run import clean_environment, locked, logged, output
from .tools import rustc_version

#: Suites searched, the first one first.
SUITES = ("trixie-backports", "trixie")

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)")


@dataclass(frozen=True)
class Mirror:
    """Address of an archive and the keyring file that signs it."""

    uri: str
    keyring: str


def one_line_sources(text: str) -> list[Mirror]:
    """Archives in the one-line format of sources.list(5)."""
    found: list[Mirror] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if not match:
            continue
        keyring = ""
        for option in (match["options"] or "").split():
            name, _, value = option.partition("=")
            if name.lower() == "signed-by":
                keyring = value
        found.append(Mirror(match["uri"], keyring))
    return found


def deb822_sources(text: str) -> list[Mirror]:
    """Archives in the deb822 format of sources.list(5)."""
    found: list[Mirror] = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and last:
                fields[last] += " " + line.strip()
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        # A key may be given in the field itself; only the name of a file is of use here.
        signed_by = fields.get("signed-by", "")
        keyring = signed_by if signed_by.startswith("/") else ""
        found.extend(Mirror(uri, keyring) for uri in fields.get("uris", "").split())
    return found


def choose(mirrors: list[Mirror]) -> Mirror | None:
    """The first archive that has Debian itself: not security, not a third party's."""
    for mirror in mirrors:
        path = mirror.uri.rstrip("/")
        if re.search(r"/debian(?:\.list)?$", path) and not path.startswith("cdrom:"):
            return mirror
    return None


def machine_mirror(etc_apt: Path = Path("/etc/apt")) -> Mirror:
    """The machine's Debian mirror; `LAB_DEBIAN_MIRROR` takes precedence.

    Raises LabError when there is none.
    """
    if uri := os.environ.get("LAB_DEBIAN_MIRROR"):
        return Mirror(uri, _KEYRING)
    mirrors = []
    parts = etc_apt / "sources.list.d"
    listed = sorted(parts.iterdir()) if parts.is_dir() else []
    for path in [etc_apt / "sources.list", *listed]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        mirrors += deb822_sources(text) if path.suffix == ".sources" else one_line_sources(text)
    mirror = choose(mirrors)
    if mirror is None:
        raise LabError(
            f"no Debian archive in {etc_apt}/sources.list or sources.list.d; "
            "set LAB_DEBIAN_MIRROR to the address of a Debian mirror"
        )
    return Mirror(mirror.uri, mirror.keyring or _KEYRING)


def sources_list(mirror: Mirror, suites: tuple[str, ...] = SUITES) -> str:
    """The private sources.list."""
    line = f"deb [signed-by={mirror.keyring}] {mirror.uri}"
    return "".join(f"{line} {suite} main\n" for suite in suites)


def versions(madison: str) -> list[str]:
    """Versions in the output of ``apt-cache madison``, newest first as apt lists them."""
    found: list[str] = []
    for line in madison.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages") and fields[1] not in found:
            found.append(fields[1])
    return found


class PrivateApt:
    """apt with its own sources, lists and cache; works without root.

    `name` tells its folder and logs from those of one with other suites.
    """

    def __init__(
        self, cache: Cache, suites: tuple[str, ...] = SUITES, name: str = "private"
    ) -> None:
        self._cache = cache
        self._suites = suites
        self._name = name
        self._root = cache.folder("apt", *([] if name == "private" else [name]))
        self._env = clean_environment()
        self._fresh = False

    def _options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": str(self._root / "sources.list"),
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": str(self._root / "lists"),
            "Dir::Cache": str(self._root / "cache"),
            "APT::Sandbox::User": "root",
            "APT::Get::List-Cleanup": "0",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Fetches the package lists, once a run."""
        if self._fresh:
            return
        for name in ("lists/partial", "cache/archives/partial"):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        mirror = machine_mirror()
        text = sources_list(mirror, self._suites)
        (self._root / "sources.list").write_text(text, encoding="utf-8")
        say(f"reading the package lists of {', '.join(self._suites)} from {mirror.uri}")
        logged(
            "reading the package lists",
            # Errors are fatal: by default apt-get only warns about a suite that it cannot read.
            ["apt-get", *self._options(), "-o", "APT::Update::Error-Mode=any", "update"],
            self._cache.folder("log") / f"apt-{self._name}-update.log",
            self._env,
        )
        self._fresh = True

    def available(self, package: str) -> list[str]:
        """Versions of `package`, newest first."""
        self.update()
        return versions(output(["apt-cache", *self._options(), "madison", package], self._env))

    def fetch(self, package: str, version: str) -> Path:
        """Path of the package file, downloaded unless it is there already."""
        folder = self._cache.folder("dl")
        pattern = f"{package}_{version.replace(':', '%3a')}_*.deb"
        if not (have := sorted(folder.glob(pattern))):
            self.update()
            say(f"downloading {package} {version}")
            logged(
                f"downloading {package}",
                ["apt-get", *self._options(), "download", f"{package}={version}"],
                self._cache.folder("log") / f"download-{package}.log",
                self._env,
                cwd=folder,
            )
            have = sorted(folder.glob(pattern))
        if not have:
            raise LabError(f"apt-get download left no {pattern} in {folder}")
        return have[0]

    def fetch_missing(self, packages: Sequence[str], folder: Path) -> list[Path]:
        """Downloads `packages` and all that they need, as far as this machine lacks it.

        Nothing is installed; the files are put into `folder`.
        """
        self.update()
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        logged(
            f"downloading {' '.join(packages)}",
            # Without the locks of dpkg's database, which only root can take: it is only read.
            ["apt-get", *self._options(), "-o", f"Dir::Cache::archives={folder}",
             "-o", "Debug::NoLocking=1", "--yes", "--no-install-recommends", "--download-only",
             "install", *packages],
            self._cache.folder("log") / f"apt-{self._name}-download.log",
            self._env,
        )  # fmt: skip
        return sorted(folder.glob("*.deb"))


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

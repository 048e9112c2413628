# SPDX-License-Identifier: GPL-2.0
"""Packages of a newer Debian suite, fetched without touching the system's own sources.

A private apt configuration below the cache names the suite; the mirror's
address and its key come from the machine's own sources.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .paths import Cache
from .run import clean_environment, logged, output
from .say import say

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


def sources_list(mirror: Mirror) -> str:
    """The private sources.list."""
    return "".join(f"deb [signed-by={mirror.keyring}] {mirror.uri} {suite} main\n" for suite in SUITES)


def versions(madison: str) -> list[str]:
    """Versions in the output of ``apt-cache madison``, newest first as apt lists them."""
    found: list[str] = []
    for line in madison.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages") and fields[1] not in found:
            found.append(fields[1])
    return found


class PrivateApt:
    """apt with its own sources, lists and cache; works without root."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._root = cache.folder("apt")
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
        (self._root / "sources.list").write_text(sources_list(mirror), encoding="utf-8")
        say(f"reading the package lists of {', '.join(SUITES)} from {mirror.uri}")
        logged(
            "reading the package lists",
            # Errors are fatal: by default apt-get only warns about a suite that it cannot read.
            ["apt-get", *self._options(), "-o", "APT::Update::Error-Mode=any", "update"],
            self._cache.folder("log") / "apt-private-update.log",
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

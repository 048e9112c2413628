# SPDX-License-Identifier: GPL-2.0
"""What every part needs: where things are, the one error, and progress for the user."""

import hashlib
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

#: The checkout this copy of the lab belongs to.
CHECKOUT = Path(__file__).resolve().parents[2]

#: The lab itself.
LAB = CHECKOUT / "lab"

#: Characters that every tool the path passes through (make, sed scripts of
#: Kbuild, the guest's kernel command line) takes literally.
_SAFE_PATH = re.compile(r"^[A-Za-z0-9/._+@%=-]+$")

_START = time.monotonic()
_LOCK = threading.Lock()


class LabError(Exception):
    """A failure whose text says what happened and what to do about it."""


def say(text: str) -> None:
    """One line of progress on standard error, with the seconds since the start.

    Standard output is for results.
    """
    with _LOCK:
        print(f"[{time.monotonic() - _START:6.1f}] {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Cache:
    """The cache folder. Everything below it can be deleted at any time."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Cache":
        """``$XDG_CACHE_HOME/lio-rust``, or ``~/.cache/lio-rust``.

        Raises LabError if the path has characters that Kbuild cannot handle.
        """
        base = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification says that a relative path is to be ignored.
        root = Path(base) if base.startswith("/") else Path.home() / ".cache"
        root = root.resolve() / "lio-rust"
        if not _SAFE_PATH.match(str(root)):
            raise LabError(
                f"the cache path '{root}' has a character that the kernel build "
                "cannot handle; set XDG_CACHE_HOME to a plainer path"
            )
        return cls(root)

    def folder(self, *parts: str) -> Path:
        """A folder below the cache, created when missing."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path


def file_name(text: str) -> str:
    """`text` with all but letters, digits, dot and dash replaced, for use in a path."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", text)


def key(*parts: str) -> str:
    """A short hash of `parts`; their boundaries count."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]

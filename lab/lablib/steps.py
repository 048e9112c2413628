# SPDX-License-Identifier: GPL-2.0
"""How far a kernel build is: the steps done, of how many."""

import re
from dataclasses import dataclass
from pathlib import Path

from .paths import Cache

#: A line of Kbuild's short output: "  CC [M]  drivers/target/foo.o".
_STEP = re.compile(r"^  [A-Z][A-Z0-9_]*\b.*\s(\S+)$")

#: Steps of a build from nothing by flavour: counted with Debian's 7.3.4 for fast, and for
#: the others those that their options add. What a build that ends counts takes their place
#: in the cache, so that another kernel or configuration makes them wrong once.
_KNOWN = {"fast": 2124, "debug": 2146, "cfi": 2140}


@dataclass
class Steps:
    """Counts the steps in the output of a build."""

    #: What a build from nothing has; 0 if nobody knows.
    whole: int = 0
    #: Some were done by an earlier build that did not end.
    resumed: bool = False
    done: int = 0

    def line(self, text: str) -> None:
        """Takes a line of output."""
        if _STEP.match(text):
            self.done += 1

    def __str__(self) -> str:
        if not self.whole or self.done > self.whole:
            return f"{self.done} steps done"
        about = "at most about" if self.resumed else "about"
        return f"{self.done} of {about} {self.whole} steps done"


def of_build(cache: Cache, flavour: str, build: Path, stamp: Path) -> Steps:
    """What to count a build of `flavour` with that is about to begin in the folder `build`.

    How much an incremental build does, one where `stamp` says that the last one ended, depends on
    what has changed: it has no number.
    """
    if stamp.exists():
        return Steps()
    remembered = _file(cache, flavour)
    text = remembered.read_text(encoding="utf-8") if remembered.is_file() else ""
    whole = int(text) if text.strip().isdigit() else _KNOWN[flavour]
    return Steps(whole, resumed=(build / ".config").exists())


def remember(cache: Cache, flavour: str, steps: Steps) -> None:
    """A build has ended: if it began with nothing, its number is what the next one will have."""
    if steps.whole and not steps.resumed:
        _file(cache, flavour).write_text(f"{steps.done}\n", encoding="utf-8")


def _file(cache: Cache, flavour: str) -> Path:
    return cache.folder("steps") / flavour

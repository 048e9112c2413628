# SPDX-License-Identifier: GPL-2.0
"""Comparison with recorded output, and what of files and writes is recorded.

A recording is a text file: a line ``[name]`` for each section, below it one line
for each thing that was looked at.
"""

import difflib
import errno
import json
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from .files import write

#: Folders of which only names and modes are recorded: counters and times.
_COUNTERS = "statistics"

#: Folders that the driver core makes for any device.
_FOREIGN = ("power", "subsystem", "device")


def _error(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))


class Look:
    """Looks at files.

    `volatile` has patterns of what differs from one run to the next, and what is recorded instead.
    """

    def __init__(self, volatile: "Sequence[tuple[re.Pattern[str], str]]") -> None:
        self._volatile = volatile

    def quoted(self, text: str) -> str:
        """Text on one line, in ASCII, without what differs from run to run."""
        for pattern, instead in self._volatile:
            text = pattern.sub(instead, text)
        return json.dumps(text)

    def content(self, path: Path) -> str:
        """What reading a file gives, or the error."""
        try:
            return self.quoted(path.read_bytes().decode("latin-1"))
        except OSError as error:
            return _error(error)

    def tree(self, root: Path, name: str) -> list[str]:
        """Modes and contents of all files below `root`, which is recorded as `name`."""
        lines = []
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(set(folders) - set(_FOREIGN))
            for entry in sorted([*folders, *files]):
                path = Path(folder) / entry
                shown = f"{name}/{path.relative_to(root)}"
                info = path.lstat()
                mode = f"{stat.S_IMODE(info.st_mode):04o}"
                if stat.S_ISDIR(info.st_mode):
                    lines.append(f"{mode} {shown}/")
                elif stat.S_ISREG(info.st_mode):
                    found = "" if _COUNTERS in path.parts else " " + self.content(path)
                    lines.append(f"{mode} {shown}{found}")
        return sorted(lines, key=lambda line: line.split(" ")[1])

    def written(self, path: Path, text: str, name: str) -> str:
        """Writes `text`; what came of it."""
        try:
            write(path, text)
            result = "ok"
        except OSError as error:
            result = _error(error)
        return f"{name} <- {self.quoted(text)} {result}"


class Recording:
    """A recording in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def section(self, name: str) -> list[str]:
        """The lines of one section."""
        lines: "list[str] | None" = None
        for line in self._path.read_text(encoding="ascii").splitlines():
            if line == f"[{name}]":
                lines = []
            elif line.startswith("[") and lines is not None:
                break
            elif lines is not None and line:
                lines.append(line)
        assert lines is not None, f"{self._path} has no section [{name}]"
        return lines

    def compare(self, name: str, found: list[str]) -> None:
        """Fails the test, showing the differences, unless `found` is what was recorded."""
        expected = self.section(name)
        different = difflib.unified_diff(expected, found, "recorded", "found", lineterm="", n=0)
        text = "\n".join(different)
        assert not text, f"not what was recorded:\n{text}"


def record(sections: "list[tuple[str, Callable[[], list[str]]]]", heading: str) -> None:
    """Prints a recording of `sections`."""
    print(heading)
    for name, look in sections:
        print(f"\n[{name}]")
        print("\n".join(look()), flush=True)

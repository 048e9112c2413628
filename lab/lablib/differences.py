# SPDX-License-Identifier: GPL-2.0
"""Known differences: tests that the stock C modules fail, and why.

A file of lines ``program:test  # reason``; the test's name may be a pattern as
in the shell. Three names stand for a program as a whole: ``console`` (reports
of the kernel), ``plan`` (results missing) and ``exit`` (its status).
"""

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError


@dataclass(frozen=True)
class Difference:
    """One line of the file."""

    program: str
    pattern: str
    reason: str

    def covers(self, program: str, test: str) -> bool:
        """Whether this difference is the one of `test` in `program`."""
        return program == self.program and fnmatch.fnmatchcase(test, self.pattern)


def parse(text: str, name: str) -> list[Difference]:
    """The differences in `text`; LabError, with `name` of the file, for a malformed line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        what, _, reason = line.partition("  # ")
        program, colon, pattern = what.strip().partition(":")
        if not (program and colon and pattern and reason.strip()):
            raise LabError(
                f"{name}:{number}: '{line}' is not of the form 'program:test  # reason'"
            )
        found.append(Difference(program, pattern, reason.strip()))
    return found


def load(path: Path) -> list[Difference]:
    """The differences in a file; none if it does not exist."""
    if not path.is_file():
        return []
    return parse(path.read_text(encoding="utf-8"), path.name)

# SPDX-License-Identifier: GPL-2.0
"""Counts checks and prints one line for each, and the summary."""

from dataclasses import dataclass, field

from .base import LabError

#: Lines of detail shown of a failed check, from its beginning and from its end:
#: some tools say first what is wrong, some last.
_DETAIL_HEAD = 20
_DETAIL_TAIL = 25


@dataclass
class Report:
    """The checks so far. Results go to standard output."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    def ok(self, name: str) -> None:
        """A check that passed."""
        self.passed += 1
        print(f"ok       {name}", flush=True)

    def fail(self, name: str, detail: str = "") -> None:
        """A check that failed; beginning and end of `detail` are shown."""
        self.failures.append(name)
        print(f"FAILED   {name}", flush=True)
        lines = detail.rstrip().splitlines()
        left_out = len(lines) - _DETAIL_HEAD - _DETAIL_TAIL
        if left_out > 0:
            lines[_DETAIL_HEAD:-_DETAIL_TAIL] = [f"({left_out} lines left out)"]
        for line in lines:
            print(f"         {line}", flush=True)

    def skip(self, name: str, reason: str) -> None:
        """A check that could not be made here."""
        self.skips.append(name)
        print(f"skipped  {name}: {reason}", flush=True)

    def difference(self, name: str, reason: str) -> None:
        """A failure that is a known difference of the C modules."""
        self.known.append(name)
        print(f"known    {name}: {reason}", flush=True)

    def verdict(self, name: str, detail: str) -> None:
        """A check that failed if there is any `detail`."""
        if detail:
            self.fail(name, detail)
        else:
            self.ok(name)

    def summary(self) -> int:
        """Prints the summary, whose last line is ``N passed, M failed``; returns the exit status.

        Nothing passed is a failure too: then nothing was checked.
        """
        print()
        for name in self.failures:
            print(f"failed: {name}")
        if self.skips or self.known:
            print(f"{len(self.skips)} skipped, {len(self.known)} known differences")
        print(f"{self.passed} passed, {len(self.failures)} failed", flush=True)
        return 1 if self.failures or not self.passed else 0


def detail_of(error: LabError) -> str:
    """Text of an error as the detail of a check; never empty, so that it fails."""
    return str(error) or "failed without a message"

# SPDX-License-Identifier: GPL-2.0
"""Two versions of a C file in one: what differs depends on a symbol of the configuration.

The places are those that git finds, which begin and end with whole functions where there is a
choice. They are made to read as if written by hand: what is changed several times within a few
lines of a function is one place, and blank lines stay outside.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: Unchanged lines of a function that two changes may have between them and still be one.
_NEAR = 2

#: A longer block says at its end what it depends on.
_SHORT = 5

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.M)
_BEGIN = re.compile(r"\s*#\s*if")
_MIDDLE = re.compile(r"\s*#\s*el")
_END = re.compile(r"\s*#\s*endif\b")


class IfdefError(Exception):
    """Why two versions cannot be one."""


@dataclass
class Change:
    """Lines `old[start:end]` of one version, and what the other has there."""

    start: int
    end: int
    new: list[str]


def merge(symbol: str, before: Path, after: Path) -> str:
    """A text that is `after` where `symbol` is defined and `before` elsewhere.

    Each of the two may have other blank lines than the file has.
    """
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in (before, after))
    found: list[str] = []
    done = 0
    for change in _tidy(old, _changes(before, after, new)):
        found += old[done : change.start]
        if found and found[-1].endswith("\\"):
            raise IfdefError(f"line {change.start + 1} is inside a macro")
        found += _conditional(symbol, old[change.start : change.end], change.new)
        done = change.end
    return "".join(f"{line}\n" for line in [*found, *old[done:]])


def _changes(before: Path, after: Path, new: list[str]) -> list[Change]:
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-color", "--no-ext-diff", "--unified=0", "--minimal",
         "--indent-heuristic", str(before), str(after)],
        check=False, text=True, capture_output=True,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise IfdefError(done.stderr.strip())
    found = []
    for hunk in _HUNK.finditer(done.stdout):
        start, size, new_start, new_size = (int(word) if word else 1 for word in hunk.groups())
        # A hunk without lines has the number of the line before it.
        first, new_first = start - bool(size), new_start - bool(new_size)
        found.append(Change(first, first + size, new[new_first : new_first + new_size]))
    return found


def _tidy(old: list[str], changes: list[Change]) -> list[Change]:
    joined: list[Change] = []
    for change in changes:
        between = old[joined[-1].end : change.start] if joined else []
        if joined and len(between) <= _NEAR and all(line[:1].isspace() for line in between):
            joined[-1].end = change.end
            joined[-1].new += between + change.new
        else:
            joined.append(change)
    parts = [part for change in joined for part in _split(old, change)]
    return [trimmed for part in parts if (trimmed := _trim(old, part))]


def _split(old: list[str], change: Change) -> list[Change]:
    """Where functions go and something in the line after them changes, these are two places."""
    blank = [number for number in range(change.start, change.end) if not old[number]]
    if not blank or not change.new or "" in change.new:
        return [change]
    return [Change(change.start, blank[-1], []), Change(blank[-1] + 1, change.end, change.new)]


def _trim(old: list[str], change: Change) -> Change | None:
    """Without blank lines around what is in one version only; None if that is all."""
    start, end, new = change.start, change.end, change.new
    if not new:
        while start < end and not old[start]:
            start += 1
        while end > start and not old[end - 1]:
            end -= 1
        return Change(start, end, []) if start < end else None
    if start == end:
        text = [number for number, line in enumerate(new) if line]
        return Change(start, end, new[text[0] : text[-1] + 1]) if text else None
    return change


def _conditional(symbol: str, old: list[str], new: list[str]) -> list[str]:
    for lines in (old, new):
        _whole(lines)
    if not new:
        return [f"#ifndef {symbol}", *old, _end(f"!{symbol}", old)]
    if not old:
        return [f"#ifdef {symbol}", *new, _end(symbol, new)]
    return [f"#ifdef {symbol}", *new, "#else", *old, _end(symbol, new + old)]


def _end(condition: str, lines: list[str]) -> str:
    return "#endif" if len(lines) <= _SHORT else f"#endif /* {condition} */"


def _whole(lines: list[str]) -> None:
    """IfdefError if what the lines begin does not end in them."""
    depth = 0
    for line in lines:
        depth += bool(_BEGIN.match(line)) - bool(_END.match(line))
        if depth < 0 or (depth == 0 and _MIDDLE.match(line)):
            break
    else:
        if depth == 0 and not (lines and lines[-1].endswith("\\")):
            return
    raise IfdefError(f"half of a conditional or of a macro would be in another one: {lines[0]!r}")

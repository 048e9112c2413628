# SPDX-License-Identifier: GPL-2.0
"""Kernel configuration fragments, and whether a configuration has what they ask for."""

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import LabError
from .paths import LAB

#: Fragments of each flavour, a later one winning over an earlier one.
FLAVOURS = {
    "fast": ("fast.config",),
    "debug": ("fast.config", "debug.config"),
    "cfi": ("fast.config", "cfi.config"),
}

_SET = re.compile(r"^(CONFIG_[A-Z0-9_a-z]+)=(.+)$")
_UNSET = re.compile(r"^# (CONFIG_[A-Z0-9_a-z]+) is not set$")


def parse(text: str) -> dict[str, str]:
    """Symbols and values of a fragment or a .config; what is not set has the value ``n``.

    Raises LabError for a line that is neither a setting nor a comment: Kconfig
    itself only warns about one.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _SET.match(line):
            values[match[1]] = match[2]
        elif match := _UNSET.match(line):
            values[match[1]] = "n"
        elif line.strip() and not line.startswith("#"):
            raise LabError(f"line {number} of a kernel configuration is no setting: '{line}'")
    return values


def not_in_effect(fragment: str, config: str) -> list[str]:
    """What `fragment` asks for and `config` does not have, one message a symbol."""
    have = parse(config)
    return [
        f"{symbol}: wanted {value}, got {have.get(symbol, 'n')}"
        for symbol, value in parse(fragment).items()
        if have.get(symbol, "n") != value
    ]


def fragment(flavour: str, folder: Path = LAB / "config", more: Sequence[str] = ()) -> str:
    """Text of all fragments of `flavour`, one of FLAVOURS, and of the files `more`."""
    names = [*FLAVOURS[flavour], *more]
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)

# SPDX-License-Identifier: GPL-2.0
"""Kernel configuration fragments, and whether a configuration has what they ask for.

The fragments are those of the lab and of each subsystem; the kernel's own merge_config.sh
puts them together.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import subsystem
from .base import LAB, LabError

CONFIG = LAB / "config"

#: What the flavours add to the lab's base.config and to the fragments of the subsystems.
FLAVOURS: dict[str, tuple[str, ...]] = {
    "fast": (),
    "debug": ("debug.config",),
    "cfi": ("cfi.config",),
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


def not_in_effect(wanted: dict[str, str], config: str) -> list[str]:
    """What is `wanted` and `config` does not have, one message a symbol."""
    have = parse(config)
    return [
        f"{symbol}: wanted {value}, got {have.get(symbol, 'n')}"
        for symbol, value in wanted.items()
        if have.get(symbol, "n") != value
    ]


def fragments(flavour: str, more: Iterable[Path] = ()) -> list[Path]:
    """All fragments of `flavour`, one of FLAVOURS, and then `more`; a later one wins."""
    added = [CONFIG / name for name in FLAVOURS[flavour]]
    return [CONFIG / "base.config", *subsystem.configs(), *added, *more]


def text(fragment: Path) -> str:
    """A fragment for a stock kernel: a subsystem's also names symbols that only this project has."""
    lines = fragment.read_text(encoding="utf-8").splitlines()
    if fragment in subsystem.configs():
        own = subsystem.own_symbols()
        lines = [line for line in lines if line.partition("=")[0] not in own]
    return "\n".join([*lines, ""])


def settings(paths: Sequence[Path]) -> dict[str, str]:
    """What the fragments ask for together."""
    return {symbol: value for path in paths for symbol, value in parse(text(path)).items()}


def own_settings() -> list[str]:
    """What the fragments of the subsystems say of this project's own symbols, as NAME=VALUE."""
    found = {}
    for path in subsystem.configs():
        found.update(parse(path.read_text(encoding="utf-8")))
    own = subsystem.own_symbols()
    return [f"{symbol}={value}" for symbol, value in found.items() if symbol in own]

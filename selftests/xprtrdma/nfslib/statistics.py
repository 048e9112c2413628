# SPDX-License-Identifier: GPL-2.0
"""Counts of Send contexts in debugfs, which only the implementation in Rust has."""

from pathlib import Path

from ksftlib.debugfs import Values
from ksftlib.files import read

from .impl import implementation

_FILE = Path("/sys/kernel/debug/rpcrdma/sendctx")


def statistics() -> Values:
    """All counts, since the module was loaded."""
    return Values(read(_FILE))


def mapped_pages() -> "int | None":
    """Pages that are mapped for outstanding Sends now; None if nothing shows it."""
    return statistics()["mapped_pages"] if implementation() == "rust" else None

# SPDX-License-Identifier: GPL-2.0
"""Whose module is loaded: this project's or the stock one in C."""

import fnmatch
import os
from pathlib import Path

_DIFFERENCES = Path(__file__).resolve().parent.parent / "c-differences.txt"


def implementation() -> str:
    """``rust`` or ``c``: IMPL, or what the symbols of the loaded module say."""
    impl = os.environ.get("IMPL", "")
    if impl:
        return impl
    with open("/proc/kallsyms", encoding="ascii", errors="replace") as symbols:
        # Names of Rust begin so; the stock module has none.
        mangled = any(" _R" in line and line.rstrip().endswith("[rpcrdma]") for line in symbols)
    return "rust" if mangled else "c"


def known_difference(program: str, test: str) -> str:
    """Why the stock C module cannot pass `test`; empty if the list does not say."""
    for line in _DIFFERENCES.read_text(encoding="utf-8").splitlines():
        what, _, reason = line.partition("  # ")
        name, _, pattern = what.strip().partition(":")
        if not line.startswith("#") and name == program and fnmatch.fnmatchcase(test, pattern):
            return reason.strip()
    return ""

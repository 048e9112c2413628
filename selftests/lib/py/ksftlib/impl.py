# SPDX-License-Identifier: GPL-2.0
"""Tests that run on this project's modules and on the stock ones in C, which are the oracle."""

import fnmatch
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import ktap
from .ktap import DEFAULT_LIMIT, Context, Skip

_Test = Callable[[Context], object]


def loaded(crate: str) -> str:
    """``rust`` or ``c``: IMPL, or whether the kernel has symbols of the Rust crate `crate`."""
    impl = os.environ.get("IMPL", "")
    if impl:
        return impl
    # The crate's name and its length, as Rust mangles them; built in, no module is named.
    name = f"_{len(crate)}{crate}"
    with open("/proc/kallsyms", encoding="ascii", errors="replace") as symbols:
        mangled = any(" _R" in line and name in line for line in symbols)
    return "rust" if mangled else "c"


def known_difference(folder: Path, program: str, test: str) -> str:
    """Why the stock C modules cannot pass `test`; empty if c-differences.txt does not say."""
    for line in (folder / "c-differences.txt").read_text(encoding="utf-8").splitlines():
        what, _, reason = line.partition("  # ")
        name, _, pattern = what.strip().partition(":")
        if not line.startswith("#") and name == program and fnmatch.fnmatchcase(test, pattern):
            return reason.strip()
    return ""


class Suite(ktap.Suite):
    """Tests of a mechanism that exists in both languages."""

    def __init__(self, crate: str) -> None:
        """`crate` is the one whose symbols tell that the mechanism is in Rust."""
        super().__init__()
        self._crate = crate

    def test(
        self, name: str, limit: float = DEFAULT_LIMIT, c_wedges: bool = False
    ) -> Callable[[_Test], _Test]:
        """Registers a test that must end within `limit` seconds.

        With `c_wedges`, running it would leave the stock C modules unusable: it is skipped
        there, with the reason from c-differences.txt.
        """
        register = super().test(name, limit)
        if not c_wedges:
            return register

        def register_spared(function: _Test) -> _Test:
            register(partial(self._unless_c, name, function))
            return function

        return register_spared

    def _unless_c(self, name: str, function: _Test, context: Context) -> None:
        # Set in a machine that is there to be left unusable.
        if os.environ.get("KSFT_C_WEDGES") != "run" and loaded(self._crate) == "c":
            program = Path(sys.argv[0]).resolve()
            reason = known_difference(program.parent, program.name, name)
            assert reason, "c-differences.txt has no line for this test"
            raise Skip(reason)
        function(context)

# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on the SCSI target's modules."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ksftlib import ktap
from ksftlib.ktap import DEFAULT_LIMIT, Context, Skip

from .impl import implementation, known_difference
from .scsi import leave_disks_alone

_Test = Callable[[Context], object]


class Suite(ktap.Suite):
    """Tests that need the target's modules."""

    def test(
        self, name: str, limit: float = DEFAULT_LIMIT, c_wedges: bool = False
    ) -> Callable[[_Test], _Test]:
        """Registers a test that must end within `limit` seconds.

        With `c_wedges`, running it would leave the stock C modules unusable: it
        is skipped there, with the reason from c-differences.txt.
        """
        register = super().test(name, limit)
        if not c_wedges:
            return register

        def register_spared(function: _Test) -> _Test:
            register(partial(_unless_c, name, function))
            return function

        return register_spared

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        if not os.path.isdir("/sys/kernel/config/target/core"):
            return "target_core_mod is not loaded or configfs not mounted"
        if not os.path.isdir("/sys/module/target_core_user"):
            return "target_core_user is not loaded"
        return ""

    def prepare(self) -> None:
        """Before the first test."""
        leave_disks_alone(self.shared)


def _unless_c(name: str, function: _Test, context: Context) -> None:
    # Set in a machine that is there to be left unusable.
    if os.environ.get("KSFT_C_WEDGES") != "run" and implementation() == "c":
        reason = known_difference(Path(sys.argv[0]).name, name)
        assert reason, "c-differences.txt has no line for this test"
        raise Skip(reason)
    function(context)

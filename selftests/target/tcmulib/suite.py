# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on the SCSI target's modules."""

import os

from ksftlib import impl

from .impl import CRATE
from .scsi import leave_disks_alone


class Suite(impl.Suite):
    """Tests that need the target's modules."""

    def __init__(self) -> None:
        super().__init__(CRATE)

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

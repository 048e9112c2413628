# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on NVMe over Fibre Channel."""

from ksftlib import impl, udev

from .module import FCLOOP, HOST, TARGET

#: The Rust crate that tells whose modules are loaded: host and target are of one kind here.
CRATE = "fcq"


class Suite(impl.Suite):
    """Tests that need the host's and the target's transport, and fcloop."""

    def __init__(self) -> None:
        super().__init__(CRATE)

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        for module in (HOST, TARGET):
            if not module.loaded():
                return f"{module.name} is not loaded"
        if not FCLOOP.loaded() and not FCLOOP.available():
            return "there is no nvme_fcloop (CONFIG_NVME_TARGET_FCLOOP)"
        return ""

    def prepare(self) -> None:
        """Nothing but the tests opens their disks."""
        udev.leave_alone(self.shared, "*/nvme*", "*/nullb*", "*/ksft-*")

# SPDX-License-Identifier: GPL-2.0
"""A target of LIO that takes iSER connections."""

import os
from pathlib import Path

from ksftlib.ktap import Context, Skip, diag
from ksftlib.module import Module, TestModule, modprobe

from .wire import ADDRESS

NAME = "iqn.2026-01.lab:t1"
PORT = 3260

_ROOT = Path("/sys/kernel/config/target")

#: ib_isert without a fault of the stock one (drivers/infiniband/ulp/isert): that one frees a Logout
#: command twice when the initiator ends the connection before its Send has completed.
_ISERT = TestModule("isert_mended", "INFINIBAND_ISERT_MENDED")


def _load() -> None:
    """Puts a target of iSER into the kernel."""
    if modprobe("iscsi_target_mod").returncode:
        raise Skip("the kernel has no iscsi_target_mod")
    if _ISERT.loaded() or Module("ib_isert").loaded():
        return
    # insmod loads nothing that isert_mended needs.
    if modprobe("rdma_cm").returncode:
        raise Skip("the kernel has no rdma_cm")
    try:
        _ISERT.insert()
    except Skip as missing:
        diag(f"{missing.args[0]}: stock ib_isert may warn at a logout")
        if modprobe("ib_isert").returncode:
            raise Skip("the kernel has no ib_isert") from missing


class Target:
    """One target portal group with portals, and a disk in memory if asked for."""

    def __init__(self, context: Context, *addresses: str, megabytes: int = 0) -> None:
        _load()
        self._made: list[Path] = []
        self._links: list[Path] = []
        self.group = _ROOT / "iscsi" / NAME / "tpgt_1"
        context.defer(self.remove)
        for folder in (self.group.parent, self.group):
            self._make(folder)
        for name, value in (("authentication", 0), ("generate_node_acls", 1),
                            ("demo_mode_write_protect", 0), ("cache_dynamic_acls", 1)):  # fmt: skip
            (self.group / "attrib" / name).write_text(f"{value}\n")
        if megabytes:
            self._add_disk(megabytes)
        for address in addresses or (ADDRESS,):
            portal = self.group / "np" / f"{address}:{PORT}"
            self._make(portal)
            (portal / "iser").write_text("1\n")
        self.enable()

    def _add_disk(self, megabytes: int) -> None:
        store = _ROOT / "core" / "rd_mcp_0" / "disk"
        self._made.insert(0, store)
        store.mkdir(parents=True)
        (store / "control").write_text(f"rd_pages={megabytes * 256}\n")
        (store / "enable").write_text("1\n")
        unit = self.group / "lun" / "lun_0"
        self._make(unit)
        link = unit / "disk"
        os.symlink(store, link)
        self._links.append(link)

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._made.append(folder)

    def enable(self) -> None:
        """Takes connections."""
        (self.group / "enable").write_text("1\n")

    def disable(self) -> None:
        """Ends all its connections, and takes no new ones."""
        (self.group / "enable").write_text("0\n")

    def remove(self) -> None:
        """Takes it away; it may be gone already."""
        if self.group.exists():
            self.disable()
        while self._links:
            self._links.pop().unlink()
        while self._made:
            os.rmdir(self._made.pop())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Every allocation fails once: calls fail cleanly or succeed, and nothing is left behind."""

import errno
import mmap
import os
from collections.abc import Callable
from functools import partial

from ksftlib import faults
from ksftlib.files import write
from ksftlib.ktap import Context, diag, equal
from tcmulib import genl
from tcmulib.configfs import CORE, Device, Hba, Loopback, remove_leftovers
from tcmulib.genl import Family
from tcmulib.module import TCMU
from tcmulib.rig import Rig, pattern
from tcmulib.ring import region_size
from tcmulib.scsi import BLOCK, TEST_UNIT_READY, attach
from tcmulib.suite import Suite

suite = Suite()

#: Seconds for a test: each call is made once for each allocation that it needs.
LIMIT = 150.0

_OPTIONS = "dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1,dev_config=some/thing"


class Site:
    """Counts what was tried at one place, and says so."""

    def __init__(self, context: Context) -> None:
        faults.prepare(context)

    def __call__(
        self,
        name: str,
        action: Callable[[], object],
        undo: "Callable[[], object] | None" = None,
        *plausible: int,
    ) -> None:
        """Runs `action` with each of its allocations failing once.

        What succeeds before the last time is undone. `plausible` are errors beside ENOMEM that
        code around ours makes of a failed allocation.
        """
        nth = faults.Nth(*plausible)
        nth(action, undo)
        diag(f"{name}: {nth.tried} allocations failed, {nth.survived} calls did not mind")
        assert nth.tried, f"{name} needs no memory, or the injection does not work"


def _enabled(context: Context) -> Device:
    device = Device(context)
    device.control(_OPTIONS)
    device.enable()
    return device


@suite.test("making HBAs and devices", limit=LIMIT)
def create(context: Context) -> None:
    site = Site(context)
    hba = CORE / "user_4990"
    site("mkdir of an HBA", partial(os.mkdir, str(hba)), partial(os.rmdir, str(hba)))
    context.defer(hba.rmdir)
    device = str(hba / "disk")
    site("mkdir of a device", partial(os.mkdir, device), partial(os.rmdir, device))
    os.rmdir(device)


@suite.test("settings", limit=LIMIT)
def settings(context: Context) -> None:
    site = Site(context)
    device = Device(context)
    site("control", partial(device.control, _OPTIONS))
    # Before it is enabled: afterwards daemons would be told, see below.
    site("attrib/dev_config", partial(device.set_attrib, "dev_config", "another/thing"))
    equal(device.attrib("dev_config"), "another/thing", "dev_config")


@suite.test("enabling a device", limit=LIMIT)
def enable(context: Context) -> None:
    site = Site(context)
    hba = Hba(context)
    before = TCMU.references()
    # A device whose enabling failed can be enabled again; one that is enabled cannot be disabled.
    device = Device(context, "disk", hba)
    device.control(_OPTIONS)

    def again() -> None:
        nonlocal device
        device.remove()
        device = Device(context, "disk", hba)
        device.control(_OPTIONS)

    site("enable", lambda: device.enable(), again)
    assert device.uio(), "no UIO device in the end"
    device.remove()
    hba.remove()
    equal(TCMU.references(), before - 1, "users of the module")
    remove_leftovers()


@suite.test("opening, mapping and touching the UIO node", limit=LIMIT)
def node(context: Context) -> None:
    site = Site(context)
    device = _enabled(context)
    path = str(device.node())
    size = region_size(device.node())
    held: list[int] = []
    site("open", lambda: held.append(os.open(path, os.O_RDWR)), lambda: os.close(held.pop()))
    descriptor = held[0]
    context.defer(lambda: os.close(descriptor))
    maps: list[mmap.mmap] = []
    site("mmap", lambda: maps.append(mmap.mmap(descriptor, size)), lambda: maps.pop().close())
    context.defer(lambda: maps.pop().close())

    def map_again() -> None:
        maps.pop().close()
        maps.append(mmap.mmap(descriptor, size))

    # The mailbox and the beginning of the ring: page faults, which are tried again.
    site("touch", lambda: maps[0][0 : 64 * mmap.PAGESIZE : mmap.PAGESIZE], map_again)
    equal(int.from_bytes(maps[0][:2], "little"), 2, "version in the mailbox")


@suite.test("netlink", limit=LIMIT)
def netlink(context: Context) -> None:
    site = Site(context)
    device = _enabled(context)
    family = Family(context)
    # The socket itself says ENOBUFS, before anything of ours is called.
    site("SET_FEATURES", lambda: _refused(family.set_features(False)), None, errno.ENOBUFS)
    listener = Family(context)

    def reconfigure() -> None:
        device.set_attrib("dev_config", "a/new/one")

    site("a change that daemons are told of", reconfigure)
    while listener.waiting(1):
        equal(listener.event().command, genl.RECONFIG, "event")


def _refused(status: int) -> None:
    if status < 0:
        raise OSError(-status, os.strerror(-status))


@suite.test("exporting a device", limit=LIMIT)
def export(context: Context) -> None:
    site = Site(context)
    rig = Rig(context)
    port = Loopback(context)
    lun = port.tpg / "lun/lun_3"
    site("mkdir of a LUN", partial(os.mkdir, str(lun)), partial(os.rmdir, str(lun)))
    context.defer(lun.rmdir)
    disk = attach(context, rig.device)
    equal(disk.sg_io(TEST_UNIT_READY).status, 0, "status of a disk that is exported afterwards")


@suite.test("actions and module parameters", limit=LIMIT)
def actions(context: Context) -> None:
    site = Site(context)
    rig = Rig(context)
    for name, value in (("block_dev", 1), ("block_dev", 0), ("reset_ring", 1)):
        path = rig.device.path / "action" / name
        site(f"action/{name}", partial(write, path, str(value)))
    for name, value in (
        ("global_max_data_area_mb", 2048),
        ("block_netlink", 0),
        ("reset_netlink", 1),
    ):
        site(f"parameter {name}", partial(write, TCMU.parameters / name, str(value)))


@suite.test("commands complete with their own data while allocations fail", limit=LIMIT)
def commands(context: Context) -> None:
    faults.prepare(context)
    rig = Rig(context, options="max_data_area_mb=2,cmd_ring_size_mb=1")
    disk = rig.disk()
    with faults.some_of(TCMU.name, 20) as failed:
        for round_number in range(40):
            for blocks in (1, 8, 64, 256):
                data = pattern(round_number * 1000 + blocks, blocks * BLOCK)
                disk.write(8 * round_number, data)
                assert disk.read(8 * round_number, blocks) == data, f"{blocks} blocks differ"
        count = failed()
    diag(f"{count} allocations failed")
    assert count, "no allocation failed"
    disk.write(0, pattern(7, 64 * BLOCK))
    assert disk.read(0, 64) == pattern(7, 64 * BLOCK), "data differ afterwards"


@suite.test("a LUN RESET that gets no memory fails, and the next one works", limit=LIMIT)
def reset(context: Context) -> None:
    faults.prepare(context)
    rig = Rig(context, attributes={"tmr_notification": 1})
    disk = rig.disk()
    with faults.some_of("target_core_mod", 100):
        try:
            disk.lun_reset()
        except OSError:
            pass
        else:
            raise AssertionError("the reset worked without memory")
    equal(rig.daemon.tmrs(), [], "notifications")
    disk.lun_reset()
    rig.daemon.wait_event("tmr")
    equal(rig.daemon.tmrs(), [("LUN_RESET", [])], "notifications")


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading target_core_user."""

import errno
import mmap
from functools import partial

from ksftlib.files import read
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PACE, Context, equal, raises_errno
from ksftlib.module import Module, modprobe
from ksftlib.wait import Task, until
from tcmulib.configfs import Device, Hba, Loopback
from tcmulib.handler import Handler, see
from tcmulib.impl import implementation
from tcmulib.module import TCMU
from tcmulib.rig import Rig, pattern
from tcmulib.scsi import BLOCK, CHECK_CONDITION, OWN, OWN_READS, Disk, attach, read10
from tcmulib.suite import Suite

suite = Suite()


@suite.test("an idle module can be unloaded and loaded again, many times")
def many_times(context: Context) -> None:
    TCMU.need()
    before = implementation()
    for _ in range(5):
        TCMU.reload()
    equal(implementation(), before, "implementation after loading it again")


def parameter(name: str) -> str:
    """Value of a parameter of the module."""
    return read(TCMU.parameters / name)


@suite.test("netlink can be blocked and reset from the moment of loading on")
def loaded_blocked(context: Context) -> None:
    TCMU.need()
    context.defer(TCMU.reload)
    TCMU.reload("block_netlink=1", "reset_netlink=1")
    equal(parameter("block_netlink"), "blocked", "block_netlink")
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    # Only what needs a reply is held back.
    device.enable()


@suite.test("the limit of all data areas can be given when the module is loaded", c_wedges=True)
def loaded_limited(context: Context) -> None:
    TCMU.need()
    context.defer(TCMU.reload)
    TCMU.reload("global_max_data_area_mb=16")
    equal(parameter("global_max_data_area_mb"), "16", "global_max_data_area_mb")
    device = Device(context)
    device.control("max_data_area_mb=17")
    equal(device.attrib("max_data_area_mb"), "16", "max_data_area_mb")


@suite.test("a module with an HBA stays, and goes when the HBA has gone")
def with_hba(context: Context) -> None:
    equal(TCMU.references(), 0, "users before")
    hba = Hba(context)
    assert TCMU.references() > 0, "no users with an HBA"
    assert modprobe("--remove", TCMU.name).returncode != 0, "it could be removed"
    assert TCMU.loaded()
    hba.remove()
    equal(TCMU.references(), 0, "users afterwards")
    TCMU.reload()


@suite.test("a module with an enabled device stays")
def with_device(context: Context) -> None:
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    assert modprobe("--remove", TCMU.name).returncode != 0, "it could be removed"
    device.node()
    device.remove()
    device.hba.remove()
    equal(TCMU.references(), 0, "users afterwards")


@suite.test("a device works after every reload, and the module goes after every device")
def used_each_time(context: Context) -> None:
    for turn in range(3):
        inner = Context()
        try:
            rig = Rig(inner)
            disk = rig.disk()
            data = pattern(turn, 64 * BLOCK)
            disk.write(0, data)
            assert disk.read(0, 64) == data, f"data in turn {turn}"
        finally:
            errors = inner.clean_up()
        equal(errors, [], "errors while cleaning up")
        equal(TCMU.references(), 0, "users of the idle module")
        TCMU.reload()


#: All that a command in flight passes through.
STACK = ("target_core_user", "target_core_mod", "tcm_loop")


@suite.test("modules with commands in flight are refused, and the commands complete")
def in_flight(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    data = pattern(1, 32 * BLOCK)
    disk.write(OWN, data)
    rig.daemon.ctl(f"hold {OWN_READS}")
    tasks = [disk.task_read(OWN + 8 * number, 8) for number in range(4)]
    held = rig.daemon.wait_held(4)
    for name in STACK:
        equal(Module(name).delete(), errno.EAGAIN, f"errno of unloading {name}")
        assert modprobe("--remove", name).returncode != 0, f"modprobe could remove {name}"
    equal(rig.daemon.held(), held, "commands still held")
    rig.daemon.let_go()
    assert b"".join(task.wait() for task in tasks) == data, "data"


@suite.test("what a device that goes leaves on its ring keeps the module until the node is closed")
def left_on_ring(context: Context) -> None:
    for close in (Handler.close, Handler.kill, Handler.close_mapping_last):
        inner, outer = Context(), Context()
        try:
            rig = Rig(outer, attributes={"cmd_time_out": int(PACE)})
            disk = attach(inner, rig.device)
            disk.remove_silently()
            rig.daemon.stop()
            handler = Handler(context, rig.device)
            task = disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
            handler.do(see, 1)
            equal(task.wait().status, CHECK_CONDITION, "status")
        finally:
            errors = inner.clean_up() + outer.clean_up()
        equal(errors, [], "errors while cleaning up")
        assert not rig.device.hba.path.exists(), "the HBA is still there"
        # The handler still reads it.
        equal(handler.do(see, 1)[0].cdb, read10(0, 8), "CDB on the ring of a device that went")
        equal(TCMU.delete(), errno.EAGAIN, "errno of unloading the module")
        close(handler)
        equal(TCMU.references(), 0, "users of the module")
        if TCMU.available():
            TCMU.reload()


@suite.test("a LUN whose commands hang keeps device and module until reset_ring")
def hanging(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": 0})
    lun, log = Context(), KernelLog(context)
    disk = Disk(context, Loopback(lun).add_lun(rig.device), log)
    disk.remove_silently()
    rig.daemon.ctl(f"hold {OWN_READS}")
    cdbs = [read10(OWN + 8 * number, 8) for number in range(4)]
    tasks = [disk.task_sg(cdb, data_in=8 * BLOCK) for cdb in cdbs]
    rig.daemon.ids(*cdbs)
    rig.daemon.kill()
    removal = Task(context, lun.clean_up, "removing the LUN")
    removal.still_blocked(0.5)
    raises_errno(errno.EBUSY, rig.device.path.rmdir, "removing the device")
    equal(TCMU.delete(), errno.EAGAIN, "errno of unloading the module")
    rig.device.action("reset_ring", 2)
    for task in tasks:
        task.wait()
    equal(removal.wait(), [], "errors of removing the LUN")
    rig.device.remove()
    rig.device.hba.remove()
    # At once.
    equal(TCMU.references(), 0, "users of the module")
    if TCMU.available():
        TCMU.reload()


def unload_when_possible(refused_once: mmap.mmap) -> int:
    """Tries again and again; returns how often it was refused. Says so after the first time."""
    refused = 0
    while True:
        found = TCMU.delete()
        if found == 0:
            return refused
        equal(found, errno.EAGAIN, "errno of unloading the module")
        refused += 1
        refused_once[0] = 1


@suite.test("unloading again and again while devices go and daemons die harms nothing", limit=120)
def racing(context: Context) -> None:
    TCMU.need()
    for turn in range(8):
        inner = Context()
        rig = Rig(inner)
        disk = rig.disk()
        data = pattern(turn, 64 * BLOCK)
        disk.write(0, data)
        assert disk.read(0, 64) == data, f"data in turn {turn}"
        refused = mmap.mmap(-1, 1)
        unloading = Task(context, partial(unload_when_possible, refused), "unloading the module")
        # Otherwise all might be gone before it begins.
        until(lambda: refused[0], "the first refusal")
        if turn % 2:
            rig.daemon.kill()
        equal(inner.clean_up(), [], "errors while cleaning up")
        assert unloading.wait() > 0, "it was never refused"
        equal(TCMU.loaded(), False, "whether it is still loaded")
        TCMU.load()


if __name__ == "__main__":
    suite.run()

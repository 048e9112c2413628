#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the kernel log says of refusals: which device, what was wrong, and the error."""

import errno
from collections.abc import Callable

from ksftlib.files import write
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, diag, equal, errno_name, raises_errno
from ksftlib.wait import Task, until
from tcmulib import genl
from tcmulib.configfs import Device
from tcmulib.genl import Family
from tcmulib.module import TCMU
from tcmulib.rig import Served
from tcmulib.scsi import TEST_UNIT_READY
from tcmulib.suite import Suite

suite = Suite()


def label(device: Device) -> str:
    """How messages name a device: as its folder in configfs."""
    return f"{device.hba.path.name}/{device.name}"


def said(log: KernelLog, number: int, *parts: str) -> None:
    """Fails the test unless one message has all parts and ends with the error."""
    # The number is all that a kernel knows that has no names of errors.
    ends = (f": {errno_name(number)}", f": Error({number})")
    lines = [line for line in log.lines() if all(part in line for part in parts)]
    found = [line for line in lines if line.split("\n")[0].endswith(ends)]
    if len(found) != 1:
        diag("\n".join(log.lines()[-20:]))
    equal(len(found), 1, f"messages with {parts} and {errno_name(number)}")


def prepared(context: Context) -> Device:
    """A small device with a name that no other has."""
    device = Device(context, "a-name.of-its-own")
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    return device


@suite.test("what is refused in configfs")
def configfs(context: Context) -> None:
    device = prepared(context)
    log = KernelLog(context)
    name = f"target_core_user: {label(device)}: "

    def refused(number: int, write_it: Callable[[], None], *parts: str) -> None:
        raises_errno(number, write_it, parts[0])
        said(log, number, name, *parts)

    def option(text: str) -> Callable[[], None]:
        return lambda: device.control(text)

    def attribute(attribute: str, value: "str | int") -> Callable[[], None]:
        return lambda: device.set_attrib(attribute, value)

    def action(action: str, value: int) -> Callable[[], None]:
        return lambda: device.action(action, value)

    refused(errno.ERANGE, option("hw_max_sectors=99999999999"), "hw_max_sectors", "out of range")
    refused(errno.EINVAL, option("hw_block_size=0"), "hw_block_size", "not a possible value")
    refused(errno.EINVAL, attribute("qfull_time_out", -7), "qfull_time_out", "-7")
    refused(errno.EINVAL, attribute("tmr_notification", 2), "tmr_notification", "0 or 1")
    refused(errno.EINVAL, action("reset_ring", 1), "has not been enabled")
    device.enable()
    refused(errno.EINVAL, option("cmd_ring_size_mb=2"), "cmd_ring_size_mb", "has been enabled")
    refused(errno.EINVAL, action("reset_ring", 3), "reset_ring", "1 or 2")
    refused(errno.EINVAL, action("free_kept_buf", 77), "free_kept_buf", "cmd_id 77")
    # Nobody listens for the new settings.
    refused(errno.ESRCH, attribute("dev_size", 4096), "dev_size could not be changed")
    refused(errno.ESRCH, attribute("dev_config", "x"), "dev_config could not be changed")


@suite.test("what goes wrong between kernel and daemon", c_wedges=True)
def netlink(context: Context) -> None:
    family = Family(context)
    equal(family.set_features(True), 0, "answer to SET_FEATURES")
    context.defer(lambda: family.set_features(False))
    device = prepared(context)
    log = KernelLog(context)
    write(TCMU.parameters / "block_netlink", "1")
    context.defer(lambda: write(TCMU.parameters / "block_netlink", "0"))
    raises_errno(errno.EAGAIN, device.enable, "enabling while netlink is blocked")
    said(log, errno.EAGAIN, label(device), "netlink is blocked")
    said(log, errno.EAGAIN, label(device), "cannot be enabled")
    write(TCMU.parameters / "block_netlink", "0")
    work = Task(context, device.enable, "enabling")
    number = family.event().number(genl.ATTR_DEVICE_ID)
    work.still_blocked(0.2)
    name = f"{label(device)} (device {number}): "
    equal(family.done(genl.REMOVED_DONE, number, 0), -errno.EINVAL, "answer to another reply")
    said(log, errno.EINVAL, name, "command 2", "expected 1")
    equal(family.done(genl.ADDED_DONE, number, -errno.EIO), 0, "answer to the reply")
    raises_errno(errno.EIO, work.wait, "enabling")
    said(log, errno.EIO, label(device), "cannot be enabled")
    equal(family.done(genl.ADDED_DONE, number, 0), -errno.ENODEV, "answer to a second reply")
    said(log, errno.ENODEV, f": device {number}: ", "command 1", "none is awaited")


@suite.test("a broken ring", c_wedges=True)
def broken(context: Context) -> None:
    served = Served(context)
    log = KernelLog(context)
    task = served.disk.task_sg(TEST_UNIT_READY)
    until(lambda: served.ring.head != served.ring.tail, "an entry")
    served.ring.tail = 4
    served.ring.kick()
    log.wait(f"{label(served.device)}: ring broken")
    served.device.action("reset_ring", 2)
    task.wait()


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Device events over netlink, and the kernel's wait for replies."""

import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from ksftlib.files import read, write
from ksftlib.ktap import PATIENCE, Context, equal, raises_errno
from ksftlib.wait import Task
from tcmulib import daemon, genl
from tcmulib.configfs import Device
from tcmulib.genl import Family
from tcmulib.module import TCMU
from tcmulib.suite import Suite

suite = Suite()


def prepared(context: Context, name: str = "disk") -> Device:
    """A small device, not enabled."""
    device = Device(context, name)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    return device


def listening(context: Context, wait_for_reply: bool = False) -> Family:
    """A socket that gets the events; the kernel waits for replies if told to."""
    family = Family(context)
    if wait_for_reply:
        equal(family.set_features(True), 0, "answer to SET_FEATURES")
        context.defer(lambda: family.set_features(False))
    return family


def answered(
    context: Context, family: Family, work: Task, done: int, device_id: int, status: int = 0
) -> Any:
    """Replies to the event that `work` waits for."""
    work.still_blocked(0.2)
    equal(family.done(done, device_id, status), 0, "the kernel's answer to the reply")
    return work.wait()


def block_netlink(context: Context) -> None:
    """Refuses what would need a reply, at most until the end of the test."""
    write(TCMU.parameters / "block_netlink", "1")
    context.defer(unblock_netlink)


def unblock_netlink() -> None:
    """Ends that."""
    write(TCMU.parameters / "block_netlink", "0")


def give_up(context: Context, work: Task, what: str = "enabling") -> None:
    """Ends the wait of `work` for a reply without one, as an administrator does."""
    block_netlink(context)
    write(TCMU.parameters / "reset_netlink", "1")
    raises_errno(errno.EINTR, work.wait, what)


def enabling(context: Context, family: Family) -> tuple[Device, Task]:
    """A device whose enabling waits for a reply."""
    device = prepared(context)
    work = Task(context, device.enable, "enabling")
    family.event()
    return device, work


def works_again(family: Family, device: Device) -> None:
    """Enables a device without a reply; its node can be opened."""
    family.set_features(False)
    device.enable()
    os.close(os.open(device.node(), os.O_RDWR))


def enabled(context: Context, family: Family) -> tuple[Device, int]:
    """A device that has been enabled with a reply, and its id in the events."""
    device = prepared(context)
    # Its removal must not wait for a reply.
    context.defer(lambda: family.set_features(False))
    context.defer(lambda: device.set_attrib("nl_reply_supported", -1))
    work = Task(context, device.enable, "enabling")
    event = family.event()
    device_id = event.number(genl.ATTR_DEVICE_ID)
    answered(context, family, work, genl.ADDED_DONE, device_id)
    return device, device_id


@suite.test("enabling and removing a device are announced")
def added_and_removed(context: Context) -> None:
    family = listening(context)
    device = prepared(context)
    device.enable()
    node = device.node()
    event = family.event()
    equal(event.command, genl.ADDED, "command")
    equal(event.attributes[genl.ATTR_DEVICE], device.uio_name().encode() + b"\0", "device")
    equal(f"uio{event.number(genl.ATTR_MINOR)}", node.name, "minor")
    device.remove()
    gone = family.event()
    equal(gone.command, genl.REMOVED, "command")
    equal(
        {kind: gone.attributes[kind] for kind in event.attributes},
        event.attributes,
        "attributes of the removal",
    )


@suite.test("new settings of a running device are announced, and taken")
def reconfigured(context: Context) -> None:
    # Through the daemon's own listener.
    listener = subprocess.Popen(
        [daemon.program(), "events", "--count", "4", "--timeout", str(int(30 * PATIENCE))],
        stdout=subprocess.PIPE,
        text=True,
    )
    context.defer(listener.wait)
    context.defer(listener.kill)
    assert listener.stdout is not None
    assert '"listening"' in listener.stdout.readline()
    device = prepared(context)
    device.enable()
    device.set_attrib("dev_size", 2 << 20)
    device.set_attrib("dev_config", "new/config")
    device.set_attrib("emulate_write_cache", 1)
    events = [json.loads(listener.stdout.readline()) for _ in range(4)]
    equal(events[1]["dev_size"], 2 << 20, "dev_size in the event")
    equal(events[2]["dev_config"], "new/config", "dev_config in the event")
    equal(events[3]["write_cache"], True, "write cache in the event")
    equal(listener.wait(timeout=20 * PATIENCE), 0, "exit status of the listener")
    equal(device.attrib("dev_size"), str(2 << 20), "dev_size")
    equal(device.attrib("dev_config"), "new/config", "dev_config")
    equal(device.attrib("emulate_write_cache"), "1", "emulate_write_cache")
    name = read(Path("/sys/class/uio") / str(device.uio()) / "name")
    equal(name, device.uio_name() + "/new/config", "name of the UIO device")


@suite.test("with replies, enabling waits for one")
def waits(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device, _ = enabled(context, family)
    equal(read(device.path / "enable"), "1", "enable")
    equal(device.attrib("nl_reply_supported"), "1", "nl_reply_supported")


@suite.test("an error in the reply makes enabling fail with it, and leaves nothing behind")
def refused(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device = prepared(context)
    work = Task(context, device.enable, "enabling")
    device_id = family.event().number(genl.ATTR_DEVICE_ID)
    raises_errno(
        errno.EIO,
        lambda: answered(context, family, work, genl.ADDED_DONE, device_id, -errno.EIO),
        "enabling",
    )
    equal((read(device.path / "enable"), device.uio()), ("0", None), "enable and UIO device")
    # Who has refused a device has none to remove.
    family.quiet(0.3)
    # It can be tried again.
    family.set_features(False)
    device.enable()
    device.node()


@suite.test("an error in the reply leaves a setting as it was")
def setting_refused(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device, device_id = enabled(context, family)
    work = Task(context, lambda: device.set_attrib("dev_size", 4096), "setting dev_size")
    equal(family.event().command, genl.RECONFIG, "command")
    raises_errno(
        errno.EPERM,
        lambda: answered(context, family, work, genl.RECONFIG_DONE, device_id, -errno.EPERM),
        "setting dev_size",
    )
    equal(device.attrib("dev_size"), "1048576", "dev_size")
    work = Task(context, lambda: device.set_attrib("dev_size", 4096), "setting dev_size")
    family.event()
    answered(context, family, work, genl.RECONFIG_DONE, device_id)
    equal(device.attrib("dev_size"), "4096", "dev_size after a good reply")


@suite.test("of two replies at once the first counts")
def replied_twice(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device, device_id = enabled(context, family)
    for _ in range(20):
        work = resizing(context, device, 4096)
        family.event()
        equal(family.done(genl.RECONFIG_DONE, device_id, -errno.EPERM), 0, "answer to the first")
        second = family.done(genl.RECONFIG_DONE, device_id, 0)
        raises_errno(errno.EPERM, work.wait, "setting dev_size")
        equal(second, -errno.ENODEV, "answer to the second")
    equal(device.attrib("dev_size"), "1048576", "dev_size")


@suite.test("nl_reply_supported -1 keeps a device from waiting")
def not_supported(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device = prepared(context)
    device.control("nl_reply_supported=-1")
    device.enable()
    equal(family.event().command, genl.ADDED, "command")
    equal(device.attrib("nl_reply_supported"), "-1", "nl_reply_supported")


@suite.test("a reply for an unknown device gives ENODEV, an incomplete one EINVAL")
def bad_replies(context: Context) -> None:
    family = listening(context)
    equal(family.done(genl.ADDED_DONE, 0x7FFFFFFF, 0), -errno.ENODEV, "unknown device")
    equal(family.request(genl.ADDED_DONE, {}), -errno.EINVAL, "no attributes")
    only_status = {genl.ATTR_CMD_STATUS: bytes(4)}
    equal(family.request(genl.REMOVED_DONE, only_status), -errno.EINVAL, "no device id")


@suite.test("a reply for another command is refused, and the right one still counts", c_wedges=True)
def mismatched(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device = prepared(context)
    context.defer(lambda: family.set_features(False))
    context.defer(lambda: device.set_attrib("nl_reply_supported", -1))
    work = Task(context, device.enable, "enabling")
    device_id = family.event().number(genl.ATTR_DEVICE_ID)
    work.still_blocked(0.2)
    equal(family.done(genl.REMOVED_DONE, device_id, 0), -errno.EINVAL, "answer to the wrong one")
    answered(context, family, work, genl.ADDED_DONE, device_id)


@suite.test("who waits for a reply that never comes can be killed, and others go on", c_wedges=True)
def killed(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device = prepared(context)
    writer = subprocess.Popen(["/bin/sh", "-c", f"echo 1 > {device.path}/enable"])
    context.defer(writer.kill)
    family.event()
    node = os.open(device.node(), os.O_RDWR)
    context.defer(lambda: os.close(node))
    equal(writer.poll(), None, "end of the writer before it is killed")
    # A second writer does not get in the way of the first.
    raises_errno(errno.EBUSY, device.enable, "enabling a second time")
    writer.kill()
    equal(writer.wait(timeout=20 * PATIENCE), -signal.SIGKILL, "end of the writer")
    equal((read(device.path / "enable"), device.uio()), ("0", None), "enable and UIO device")
    equal(family.event().command, genl.REMOVED, "what the daemon is told")
    # The node of the attempt is still open, and is in nobody's way.
    works_again(family, device)


@suite.test("reset_netlink ends a wait for a reply that never comes")
def reset(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device, work = enabling(context, family)
    work.still_blocked(0.3)
    reset_netlink = TCMU.parameters / "reset_netlink"
    raises_errno(errno.EBUSY, lambda: write(reset_netlink, "1"), "without blocking")
    give_up(context, work)
    equal(read(device.path / "enable"), "0", "enable")


@suite.test("a silent daemon that has the node open does not leave the device busy")
def reset_open(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    device, work = enabling(context, family)
    node = os.open(device.node(), os.O_RDWR)
    give_up(context, work)
    os.close(node)
    unblock_netlink()
    works_again(family, device)


def unanswered(context: Context, family: Family, work: Task) -> None:
    """Leaves the change that `work` makes without a reply."""
    equal(family.event().command, genl.RECONFIG, "command")
    work.still_blocked(0.2)
    give_up(context, work, "the change without a reply")
    unblock_netlink()


def owing(context: Context) -> tuple[Family, Device, int]:
    """A daemon that has not replied to a new size of its device, and may do so late."""
    family = listening(context, wait_for_reply=True)
    device, device_id = enabled(context, family)
    unanswered(context, family, resizing(context, device, 4096))
    return family, device, device_id


def resizing(context: Context, device: Device, size: int) -> Task:
    """A new size, for which a reply is waited for."""
    return Task(context, lambda: device.set_attrib("dev_size", size), "setting dev_size")


@suite.test("a reply that comes too late is not taken for the next one")
def late(context: Context) -> None:
    family, device, device_id = owing(context)
    work = resizing(context, device, 8192)
    family.event()
    equal(family.done(genl.RECONFIG_DONE, device_id, 0), -errno.ENODEV, "answer to the late reply")
    work.still_blocked(0.3)
    raises_errno(
        errno.EPERM,
        lambda: answered(context, family, work, genl.RECONFIG_DONE, device_id, -errno.EPERM),
        "setting dev_size",
    )
    equal(device.attrib("dev_size"), "1048576", "dev_size")
    # Nothing is owed any more.
    work = resizing(context, device, 8192)
    family.event()
    answered(context, family, work, genl.RECONFIG_DONE, device_id)
    equal(device.attrib("dev_size"), "8192", "dev_size after a good reply")


@suite.test("after a late reply that nobody waited for the next one counts")
def late_alone(context: Context) -> None:
    family, device, device_id = owing(context)
    equal(family.done(genl.RECONFIG_DONE, device_id, 0), -errno.ENODEV, "answer to the late reply")
    work = resizing(context, device, 8192)
    family.event()
    answered(context, family, work, genl.RECONFIG_DONE, device_id)
    equal(device.attrib("dev_size"), "8192", "dev_size")


def first_reply_counts(context: Context, announced: bool) -> None:
    """A daemon that has come since the wait ended owes nothing, whatever the old one does."""
    old, device, device_id = owing(context)
    new = Family(context)
    if announced:
        equal(new.set_features(True), 0, "answer to SET_FEATURES")
    work = resizing(context, device, 8192)
    new.event()
    answered(context, new, work, genl.RECONFIG_DONE, device_id)
    equal(device.attrib("dev_size"), "8192", "dev_size")
    equal(old.done(genl.RECONFIG_DONE, device_id, 0), -errno.ENODEV, "answer to the old one")


@suite.test("the first reply of a daemon that has come since counts")
def successor(context: Context) -> None:
    first_reply_counts(context, announced=True)


@suite.test("so does that of one that does not announce itself")
def silent_successor(context: Context) -> None:
    first_reply_counts(context, announced=False)


@suite.test("so does that of one that announces itself once more")
def announced_again(context: Context) -> None:
    family, device, device_id = owing(context)
    equal(family.set_features(True), 0, "answer to SET_FEATURES")
    work = resizing(context, device, 8192)
    family.event()
    answered(context, family, work, genl.RECONFIG_DONE, device_id)
    equal(device.attrib("dev_size"), "8192", "dev_size")


@suite.test("block_netlink refuses what would need a reply")
def blocked(context: Context) -> None:
    family = listening(context, wait_for_reply=True)
    block_netlink(context)
    device = prepared(context)
    raises_errno(errno.EAGAIN, device.enable, "enabling")
    family.quiet(0.2)
    unblock_netlink()
    family.set_features(False)
    device.enable()


if __name__ == "__main__":
    suite.run()

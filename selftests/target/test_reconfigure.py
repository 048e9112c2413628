#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Settings of a running device: what daemons are told over netlink, and what their answers do."""

import contextlib
import errno
import os
import struct
from pathlib import Path
from typing import Any

from ksftlib.files import read
from ksftlib.ktap import Context, equal, raises_errno
from ksftlib.wait import Task
from tcmulib import genl
from tcmulib.configfs import Device
from tcmulib.genl import Family
from tcmulib.suite import Suite

suite = Suite()

#: Attributes of the family that carry new settings (enum tcmu_genl_attr).
ATTR_DEV_CFG, ATTR_DEV_SIZE, ATTR_WRITECACHE = 4, 5, 6

#: Settings: attribute, value before, new value, and the netlink attribute that tells it.
SETTINGS = (
    ("dev_size", "1048576", "2097152", ATTR_DEV_SIZE, struct.pack("=Q", 2097152)),
    ("dev_config", "old/config", "new/config", ATTR_DEV_CFG, b"new/config\0"),
    ("emulate_write_cache", "0", "1", ATTR_WRITECACHE, b"\x01"),
)


def prepared(context: Context, options: str = "") -> Device:
    """A small device, not enabled."""
    device = Device(context)
    device.control(
        "dev_config=old/config,dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1" + options
    )
    return device


class Running:
    """An enabled device; `replies` says whether the kernel waits for this test's replies."""

    def __init__(self, context: Context, replies: bool) -> None:
        self.context = context
        self.family = Family(context)
        if replies:
            equal(self.family.set_features(True), 0, "answer to SET_FEATURES")
        self.device = prepared(context)
        # Its removal must not wait for a reply.
        context.defer(lambda: self.family.set_features(False))
        context.defer(self._no_replies)
        work = Task(context, self.device.enable, "enabling")
        self.added = self.family.event()
        self.id = self.added.number(genl.ATTR_DEVICE_ID)
        if replies:
            self.reply(work, genl.ADDED_DONE)
        work.wait()

    def _no_replies(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.device.set_attrib("nl_reply_supported", -1)

    def reply(self, work: Task, done: int, status: int = 0) -> Any:
        """Replies to the event that `work` waits for."""
        work.still_blocked(0.2)
        equal(self.family.done(done, self.id, status), 0, "the kernel's answer to the reply")
        return work.wait()

    def set(self, name: str, value: str) -> Task:
        """Writes a setting in a process of its own; its event is there when this returns."""
        return Task(self.context, lambda: self.device.set_attrib(name, value), f"setting {name}")

    def uio_name(self) -> str:
        """What the UIO device is called."""
        return read(Path("/sys/class/uio") / str(self.device.uio()) / "name")


@suite.test("each new setting is told with its value, and the device as in its addition")
def events(context: Context) -> None:
    running = Running(context, replies=False)
    device = dict(running.added.attributes)
    equal(
        sorted(device), [genl.ATTR_DEVICE, genl.ATTR_MINOR, genl.ATTR_DEVICE_ID], "attributes"
    )
    for name, before, value, attribute, payload in SETTINGS:
        equal(running.device.attrib(name), before, name)
        running.device.set_attrib(name, value)
        event = running.family.event()
        equal(event.command, genl.RECONFIG, f"command for {name}")
        equal(event.attributes, {**device, attribute: payload}, f"attributes for {name}")
        equal(running.device.attrib(name), value, f"{name} afterwards")
        if name == "dev_config":
            # The name of the device changes with it, for later events too.
            equal(running.uio_name(), running.device.uio_name() + "/new/config", "UIO name")
            device[genl.ATTR_DEVICE] = running.uio_name().encode() + b"\0"


@suite.test("what is written is told before it is looked at more closely")
def told_as_written(context: Context) -> None:
    running = Running(context, replies=False)
    running.device.set_attrib("emulate_write_cache", 7)
    equal(running.family.event().attributes[ATTR_WRITECACHE], b"\x07", "write cache in the event")
    equal(running.device.attrib("emulate_write_cache"), "1", "emulate_write_cache")
    running.device.set_attrib("dev_size", "0x10\n")
    equal(running.family.event().attributes[ATTR_DEV_SIZE], struct.pack("=Q", 16), "dev_size")
    # Numbers that are none are told to nobody.
    for name in ("dev_size", "emulate_write_cache"):
        raises_errno(errno.EINVAL, lambda: running.device.set_attrib(name, "x"), f"{name} x")
    running.family.quiet(0.2)


@suite.test("a good reply lets each setting take effect, not before")
def good_replies(context: Context) -> None:
    running = Running(context, replies=True)
    for name, before, value, _, _ in SETTINGS:
        work = running.set(name, value)
        equal(running.family.event().command, genl.RECONFIG, f"command for {name}")
        work.still_blocked(0.2)
        if name != "emulate_write_cache":
            equal(running.device.attrib(name), before, f"{name} before the reply")
        running.reply(work, genl.RECONFIG_DONE)
        equal(running.device.attrib(name), value, f"{name} after the reply")


@suite.test("an error in the reply is the writer's errno, and nothing changes")
def bad_replies(context: Context) -> None:
    running = Running(context, replies=True)
    name_before = running.uio_name()
    for number, (name, before, value, _, _) in zip(
        (errno.EIO, errno.EOPNOTSUPP, errno.EPERM), SETTINGS, strict=True
    ):
        work = running.set(name, value)
        running.family.event()
        raises_errno(
            number,
            lambda: running.reply(work, genl.RECONFIG_DONE, -number),
            f"setting {name}",
        )
        equal(running.device.attrib(name), before, f"{name} after the reply")
    equal(running.uio_name(), name_before, "UIO name")
    # It goes on from there.
    work = running.set("dev_size", "4096")
    running.family.event()
    running.reply(work, genl.RECONFIG_DONE)
    equal(running.device.attrib("dev_size"), "4096", "dev_size in the end")


@suite.test("nl_reply_supported is what the daemon has announced, unless it is negative")
def reply_supported(context: Context) -> None:
    family = Family(context)
    context.defer(lambda: family.set_features(False))
    for announced in (False, True):
        for value in (-1, -128, 0, 1, 5):
            equal(family.set_features(announced), 0, "answer to SET_FEATURES")
            device = prepared(context)
            device.set_attrib("nl_reply_supported", value)
            waits = announced and value >= 0
            work = Task(context, device.enable, "enabling")
            event = family.event()
            if waits:
                work.still_blocked(0.2)
                number = event.number(genl.ATTR_DEVICE_ID)
                equal(family.done(genl.ADDED_DONE, number, 0), 0, "answer to the reply")
            work.wait()
            shown = value if value < 0 else int(announced)
            what = f"nl_reply_supported {value}, announced {announced}"
            equal(device.attrib("nl_reply_supported"), str(shown), what)
            family.set_features(False)
            device.remove()
            equal(family.event().command, genl.REMOVED, f"event with {what}")


@suite.test("nl_reply_supported of a running device decides about its next event")
def reply_supported_later(context: Context) -> None:
    running = Running(context, replies=True)
    for value in (-1, 0):
        running.device.set_attrib("nl_reply_supported", value)
        running.device.set_attrib("dev_size", 4096)
        running.family.event()
        equal(running.device.attrib("dev_size"), "4096", f"dev_size with {value}")
    running.device.set_attrib("nl_reply_supported", 1)
    work = running.set("dev_size", "8192")
    running.family.event()
    running.reply(work, genl.RECONFIG_DONE)
    equal(running.device.attrib("dev_size"), "8192", "dev_size")
    # Without a daemon that replies 1 is not enough.
    running.family.set_features(False)
    running.device.set_attrib("dev_size", 4096)
    running.family.event()


@suite.test("removing a device waits for a reply too, and does not mind what it says")
def removal(context: Context) -> None:
    for status in (0, -errno.EIO):
        running = Running(context, replies=True)
        work = Task(context, running.device.remove, "removing")
        equal(running.family.event().command, genl.REMOVED, "command")
        running.reply(work, genl.REMOVED_DONE, status)
        equal(running.device.path.exists(), False, "the device's folder")
        running.family.set_features(False)


@suite.test("SET_FEATURES without an attribute changes nothing, and any number but 0 means yes")
def set_features(context: Context) -> None:
    family = Family(context)
    context.defer(lambda: family.set_features(False))
    for value, expected in ((1, "1"), (0, "0"), (255, "255")):
        payload = {genl.ATTR_SUPP_KERN_CMD_REPLY: bytes([value])}
        equal(family.request(genl.SET_FEATURES, payload), 0, f"answer to {value}")
        equal(family.request(genl.SET_FEATURES, {}), 0, "answer to one without an attribute")
        device = prepared(context)
        work = Task(context, device.enable, "enabling")
        number = family.event().number(genl.ATTR_DEVICE_ID)
        if value:
            work.still_blocked(0.2)
            equal(family.done(genl.ADDED_DONE, number, 0), 0, "answer to the reply")
        work.wait()
        equal(device.attrib("nl_reply_supported"), expected, f"nl_reply_supported after {value}")
        family.set_features(False)
        device.remove()
        equal(family.event().command, genl.REMOVED, "command of the last event")


@suite.test("who has no CAP_NET_ADMIN may send nothing, and malformed attributes are refused")
def refused_requests(context: Context) -> None:
    family = Family(context)
    short = {genl.ATTR_CMD_STATUS: b"\0", genl.ATTR_DEVICE_ID: bytes(4)}
    equal(family.request(genl.ADDED_DONE, short), -errno.ERANGE, "answer to a short status")
    commands = (genl.SET_FEATURES, genl.ADDED_DONE, genl.REMOVED_DONE, genl.RECONFIG_DONE)

    def as_nobody() -> list[int]:
        os.setgroups([])
        os.setuid(65534)
        inner = Context()
        other = Family(inner)
        answers = [other.request(command, {}) for command in commands]
        assert not inner.clean_up()
        return answers

    task = Task(context, as_nobody, "requests without privileges")
    equal(task.wait(), [-errno.EPERM] * len(commands), "answers")
    # Events are none of them to be sent.
    for command in (genl.ADDED, genl.REMOVED, genl.RECONFIG):
        equal(family.request(command, {}), -errno.EOPNOTSUPP, f"answer to command {command}")


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The sample backend (samples/target): another backend than tcmu that is told of aborts."""

import errno

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PACE, Context, equal, raises_errno
from ksftlib.wait import until
from tcmulib.ram import SIZE, Ram, ram
from tcmulib.rig import pattern
from tcmulib.scsi import BLOCK, GOOD, TASK_ABORTED, TEST_UNIT_READY, read10
from tcmulib.suite import Suite

suite = Suite()


@suite.test("the disk keeps what is written")
def data(context: Context) -> None:
    rig = Ram(context)
    disk = rig.disk()
    for lba, blocks in ((0, 1), (8, 64), (1000, 512), (SIZE // BLOCK - 8, 8)):
        content = pattern(lba, blocks * BLOCK)
        disk.write(lba, content)
        assert disk.read(lba, blocks) == content, f"{blocks} blocks at {lba} differ"
    equal(rig.told(), (0, 0, 0), "notifications")


@suite.test("sizes that cannot be are refused")
def bad_sizes(context: Context) -> None:
    device = ram(context)
    log = KernelLog(context)
    raises_errno(errno.EINVAL, device.enable, "enabling without a size")
    equal(log.count(f"{device.hba.path.name}/{device.name}: dev_size is not set"), 1, "messages")
    for option in ("dev_size=0", "dev_size=511", "dev_size=2G", "dev_size=", "size=512", "512"):
        raises_errno(errno.EINVAL, lambda: device.control(option), option)
    raises_errno(errno.EINVAL, lambda: device.control("dev_size=1073742336"), "above 1 GiB")
    device.control(f"dev_size={SIZE}")
    device.enable()
    raises_errno(errno.EINVAL, lambda: device.control("dev_size=512"), "once enabled")


@suite.test("kept commands are executed when they are released")
def released(context: Context) -> None:
    rig = Ram(context)
    disk = rig.disk()
    content = pattern(1, 8 * BLOCK)
    disk.write(0, content)
    rig.hold()
    task = disk.task_read(0, 8)
    rig.wait_held(1)
    task.still_blocked(0.3)
    rig.relax()
    assert task.wait() == content
    equal(rig.number("cancelled"), 0, "cancelled commands")


@suite.test("ABORT TASK tells the backend, which answers the command, and the abort ends at once")
def abort(context: Context) -> None:
    rig = Ram(context)
    disk = rig.disk()
    rig.hold()
    task = disk.task_sg(read10(0, 8), data_in=8 * BLOCK, timeout=2 * PACE)
    rig.wait_held(1)
    until(lambda: rig.number("cancelled") == 1, "a cancelled command")
    # Nobody released it: had the abort waited for the medium, this would wait for ever.
    assert task.wait().host_status, "the initiator did not end the command as timed out"
    equal(rig.told(), (1, 0, 0), "notifications")
    equal(rig.number("held"), 0, "kept commands")


@suite.test("LUN RESET cancels what is kept, of all nexuses, and nothing else")
def reset(context: Context) -> None:
    rig = Ram(context)
    first, second = rig.disk(), rig.disk()
    rig.hold()
    for number in range(5):
        first.task_sg(read10(number * 8, 8), data_in=8 * BLOCK, timeout=6 * PACE)
    other = second.task_sg(read10(0, 8), data_in=8 * BLOCK)
    rig.wait_held(6)
    first.task_reset().wait(10)
    equal(rig.told(), (0, 1, 0), "notifications")
    equal((rig.number("cancelled"), rig.number("held")), (6, 0), "cancelled and kept commands")
    equal(other.wait().status, TASK_ABORTED, "status at the other nexus")
    rig.relax()
    # The reset leaves a unit attention behind.
    first.sg_io(TEST_UNIT_READY)
    equal(first.sg_io(TEST_UNIT_READY).status, GOOD, "status afterwards")


@suite.test("a LUN RESET of an idle device is told too")
def idle(context: Context) -> None:
    rig = Ram(context)
    disk = rig.disk()
    disk.lun_reset()
    equal((rig.told(), rig.number("cancelled")), ((0, 1, 0), 0), "notifications and cancelled")


if __name__ == "__main__":
    suite.run()

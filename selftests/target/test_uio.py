#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The UIO node: opening, mapping, faults, and handlers that leave or die."""

import errno
import mmap
import os
import select
import signal
import struct

from ksftlib.ktap import PACE, PATIENCE, Context, equal, raises_errno
from ksftlib.wait import until
from tcmulib.configfs import Device
from tcmulib.rig import SIZE, Rig, Served, file_backed, pattern
from tcmulib.ring import Ring, touch_in_child
from tcmulib.scsi import BLOCK, GOOD, OWN, OWN_READS, TEST_UNIT_READY, read10
from tcmulib.suite import Suite

suite = Suite()

PAGE = mmap.PAGESIZE


def enabled(context: Context) -> Device:
    """A small device, enabled; nobody serves it."""
    device = Device(context)
    device.control(f"dev_size={SIZE},max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    return device


@suite.test("a second open gives EBUSY, and closing makes it possible again")
def second_open(context: Context) -> None:
    device = enabled(context)
    ring = Ring(context, device)
    raises_errno(errno.EBUSY, lambda: os.open(device.node(), os.O_RDWR), "a second open")
    ring.close()
    Ring(context, device).close()
    Ring(context, device)


@suite.test("mapping takes exactly the size that sysfs shows")
def map_size(context: Context) -> None:
    device = enabled(context)
    node = device.node()
    descriptor = os.open(node, os.O_RDWR)
    context.defer(lambda: os.close(descriptor))
    size = 2 << 20
    for wrong in (PAGE, size - PAGE, size + PAGE):
        raises_errno(errno.EINVAL, lambda: mmap.mmap(descriptor, wrong), f"mapping {wrong} bytes")
    raises_errno(
        errno.EINVAL, lambda: mmap.mmap(descriptor, size, offset=PAGE), "mapping from page 1"
    )
    mmap.mmap(descriptor, size).close()


@suite.test("the mailbox and the ring can be read to their last byte")
def ring_readable(context: Context) -> None:
    device = enabled(context)
    for address in (0, 127, 128, (1 << 20) - 1):
        status = touch_in_child(device, address)
        equal(os.waitstatus_to_exitcode(status), 0, f"exit code after reading byte {address}")


@suite.test("touching the data area where no command has data gives SIGBUS")
def unused_data(context: Context) -> None:
    device = enabled(context)
    for address in (1 << 20, (1 << 20) + 5 * PAGE, (2 << 20) - 1):
        status = touch_in_child(device, address)
        equal(os.waitstatus_to_exitcode(status), -signal.SIGBUS, f"end after byte {address}")
    Ring(context, device)


@suite.test("beyond the blocks that commands have used, the data area gives SIGBUS")
def beyond_used(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 1), data_in=BLOCK)
    entry = served.ring.next()
    start, _ = entry.iov[0]
    # Inside the entry's buffer it must not.
    assert served.ring.map[start] >= 0
    served.ring.close()
    status = touch_in_child(served.device, (2 << 20) - 1)
    equal(os.waitstatus_to_exitcode(status), -signal.SIGBUS, "end of the child")
    status = touch_in_child(served.device, start)
    equal(os.waitstatus_to_exitcode(status), 0, "exit code after reading the buffer")
    ring = Ring(context, served.device)
    ring.complete(ring.next())
    equal(task.wait().status, GOOD, "status")


@suite.test("the node becomes readable when a command comes")
def readable(context: Context) -> None:
    served = Served(context)
    descriptor = served.ring.fd

    def drain() -> None:
        while select.select([descriptor], [], [], 0)[0]:
            os.read(descriptor, 4)

    drain()
    task = served.disk.task_sg(TEST_UNIT_READY)
    ready = select.select([descriptor], [], [], 15 * PATIENCE)[0]
    assert ready, "not readable in time"
    count = struct.unpack("=I", os.read(descriptor, 4))[0]
    assert count > 0, f"event count {count}"
    served.ring.complete(served.ring.next())
    equal(task.wait().status, GOOD, "status")
    # The end of the batch in which it came may wake user space once more, a little later.
    late = 0
    while select.select([descriptor], [], [], 0.2 * PACE)[0]:
        os.read(descriptor, 4)
        late += 1
        assert late <= 1, "readable again and again without a command"


@suite.test("writing anything but four bytes to the node gives EINVAL")
def write_size(context: Context) -> None:
    device = enabled(context)
    ring = Ring(context, device)
    for size in (1, 3, 8):
        raises_errno(errno.EINVAL, lambda: os.write(ring.fd, bytes(size)), f"writing {size} bytes")
    ring.kick()


@suite.test("commands wait while no handler is there, and the next one serves them")
def no_handler(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    data = pattern(3, 8 * BLOCK)
    rig.daemon.stop()
    task = disk.task_sg(TEST_UNIT_READY)
    task.still_blocked(0.3)
    rig.restart(reset_ring=False)
    equal(task.wait().status, GOOD, "status")
    disk.write(0, data)
    assert disk.read(0, 8) == data


@suite.test("after SIGKILL of the handler, reset_ring and a new one bring everything back")
def killed(context: Context) -> None:
    rig = file_backed(context)
    disk = rig.disk()
    data = pattern(4, 512 * BLOCK)
    disk.write(OWN, data)
    rig.daemon.ctl(f"hold {OWN_READS}")
    tasks = [disk.task_read(OWN + number * 64, 64) for number in range(8)]
    rig.daemon.wait_held(8)
    rig.daemon.kill()
    for task in tasks:
        task.still_blocked(0.02)
    # Level 1 answers BUSY: the initiator sends them again.
    rig.restart(reset_ring=True)
    for number, task in enumerate(tasks):
        expected = data[number * 64 * BLOCK : (number + 1) * 64 * BLOCK]
        assert task.wait() == expected, f"data of READ {number}"
    assert disk.read(OWN, 512) == data, "data after the restart"


@suite.test("after SIGKILL a new handler may also go on with the ring as it is")
def killed_no_reset(context: Context) -> None:
    rig = file_backed(context)
    disk = rig.disk()
    data = pattern(5, 64 * BLOCK)
    disk.write(OWN, data)
    rig.daemon.ctl(f"hold {OWN_READS}")
    tasks = [disk.task_read(OWN + number * 8, 8) for number in range(8)]
    rig.daemon.wait_held(8)
    rig.daemon.kill()
    rig.restart(reset_ring=False)
    for number, task in enumerate(tasks):
        assert task.wait() == data[number * 8 * BLOCK : (number + 1) * 8 * BLOCK], f"READ {number}"


@suite.test("handlers killed again and again under load lose no data")
def killed_often(context: Context) -> None:
    rig = file_backed(context)
    disk = rig.disk()
    for turn in range(3):
        blocks = [pattern(turn * 10 + number, 128 * BLOCK) for number in range(4)]
        rig.daemon.ctl("hold write")
        tasks = [disk.task_write(number * 128, block) for number, block in enumerate(blocks)]
        until(rig.daemon.held, "a held WRITE")
        rig.daemon.kill()
        rig.restart(reset_ring=True)
        for task in tasks:
            task.wait()
        for number, block in enumerate(blocks):
            assert disk.read(number * 128, 128) == block, f"turn {turn}, extent {number}"


@suite.test("removing the device ends its handler")
def remove_under_handler(context: Context) -> None:
    rig = Rig(context)
    rig.device.remove()
    equal(rig.daemon.process.wait(timeout=20 * PATIENCE), 0, "exit status of the daemon")


if __name__ == "__main__":
    suite.run()

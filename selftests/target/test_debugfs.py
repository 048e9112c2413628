#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What an operator sees of a device in debugfs, at any time."""

import errno
import mmap
import os
import time
from functools import partial

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PACE, Context, equal, raises_errno
from ksftlib.module import modprobe
from ksftlib.wait import Task, until
from tcmulib import debugfs
from tcmulib.configfs import Device
from tcmulib.debugfs import Status
from tcmulib.module import TCMU
from tcmulib.rig import Fill, Rig, Served, pattern
from tcmulib.ring import UFLAG_KEEP_BUF
from tcmulib.scsi import BLOCK, DID_TIME_OUT, GOOD, OWN, OWN_READS, TEST_UNIT_READY, read10
from tcmulib.suite import Suite

suite = Suite()


@suite.test("an idle device owes nothing, and the totals add up")
def idle(context: Context) -> None:
    rig = Rig(context)
    before = Status.of(rig.device)
    equal((before.text("state"), before.text("broken_reason")), ("running", "none"), "state")
    equal((before["total_queued"], before["node_open"]), (0, 1), "commands, and whether it is open")
    disk = rig.disk()
    disk.write(0, pattern(1, 8 * BLOCK))
    after = Status.of(rig.device)
    after.check()
    assert after["total_queued"] > 0, "no command was counted"
    equal(after["total_completed"], after["total_queued"], "completed commands")
    equal((after["commands_on_ring"], after["data_blocks_used"]), (0, 0), "what is in use")
    equal((after["ring_head"], after["ring_used"]), (after["ring_tail"], 0), "ring positions")
    assert after["data_pages"] >= 1, "the WRITE needed a page"


@suite.test("commands on the ring and in the qfull queue are told apart, expired ones counted")
def queues(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes={"qfull_time_out": int(PACE)})
    disk = rig.disk()
    fill = Fill(rig, disk)
    late = disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    until(lambda: Status.of(rig.device)["commands_qfull"] == 1, "a command that waits")
    full = Status.of(rig.device)
    full.check()
    equal((full["commands_on_ring"], full["data_blocks_used"]), (8, full["data_blocks"]), "in use")
    until(lambda: Status.of(rig.device)["total_timed_out"], "the end of the wait")
    fill.release()
    # The SCSI layer has tried again until there was space.
    equal(late.wait().status, GOOD, "status of the command that waited")
    after = Status.of(rig.device)
    after.check()
    equal((after["commands_qfull"], after["commands_on_ring"]), (0, 0), "what is left")


@suite.test("a command past its time stays on the ring until user space gives it back")
def late(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": int(PACE)})
    disk = rig.disk()
    before = Status.of(rig.device)["total_timed_out"]
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK)
    (held,) = rig.daemon.ids(read10(OWN, 8))
    until(lambda: Status.of(rig.device)["commands_timed_out"], "the end of its time")
    status = Status.of(rig.device)
    status.check()
    found = (status["total_timed_out"] - before, status["commands_timed_out"], status["commands_on_ring"])
    equal(found, (1, 1, 0), "expired, late and owed commands")
    task.wait()
    rig.daemon.ctl(f"release {held}")
    until(lambda: not Status.of(rig.device)["commands_timed_out"], "its completion")
    equal(Status.of(rig.device)["data_blocks_used"], 0, "blocks in use")


@suite.test("aborted commands and their notifications are counted")
def aborted(context: Context) -> None:
    rig = Rig(context, attributes={"tmr_notification": 1})
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    answer = disk.sg_io(read10(OWN, 8), data_in=8 * BLOCK, timeout=1)
    equal(answer.host_status, DID_TIME_OUT, "host status")
    status = Status.of(rig.device)
    status.check()
    equal(status["total_aborted"], 1, "aborted commands")
    found = [status[f"total_tmrs_{what}"] for what in ("announced", "delivered", "dropped")]
    equal(found, [1, 1, 0], "notifications announced, delivered, dropped")


@suite.test("a broken ring is explained until it is reset")
def broken(context: Context) -> None:
    # The C module would follow the tail for ever.
    debugfs.need()
    served = Served(context)
    task = served.disk.task_sg(TEST_UNIT_READY)
    served.ring.next()
    served.ring.tail = 4
    served.ring.kick()
    status = Status.of(served.device)
    status.check()
    equal(status.text("state"), "broken", "state")
    equal(status.text("broken_reason"), "cmd_tail 4 is not the start of an entry on it", "reason")
    equal((status["ring_tail"], status["total_broken"]), (4, 1), "tail, and how often it broke")
    served.device.action("reset_ring", 2)
    task.wait()
    status = Status.of(served.device)
    status.check()
    equal((status.text("state"), status.text("broken_reason")), ("running", "none"), "state")
    equal((status["total_failed"], status["total_broken"]), (1, 1), "failed commands, and breaks")


@suite.test("a ring that is broken again and again does not fill the log")
def broken_often(context: Context) -> None:
    # The C module would follow the tail for ever.
    debugfs.need()
    served = Served(context)
    log = KernelLog(context)
    start = time.monotonic()
    for turn in range(5):
        task = served.disk.task_sg(TEST_UNIT_READY)
        until(lambda: served.ring.head != served.ring.tail, "an entry")
        served.ring.tail = 4
        served.ring.kick()
        equal(Status.of(served.device)["total_broken"], turn + 1, "how often it broke")
        served.device.action("reset_ring", 2)
        task.wait()
    # One more for each five seconds that a slow machine takes.
    count, most = log.count("ring broken"), 4 + int((time.monotonic() - start) / 5)
    assert 1 <= count <= most, f"{count} messages"


@suite.test("a blocked device and a kept buffer are shown")
def special(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    served.ring.complete(served.ring.next(), uflags=UFLAG_KEEP_BUF)
    equal(task.wait().status, GOOD, "status")
    served.device.action("block_dev", 1)
    status = Status.of(served.device)
    status.check()
    equal((status.text("state"), status["buffers_kept"]), ("blocked", 1), "state and kept buffers")
    assert status["data_blocks_used"] >= 1, "the kept buffer has blocks"
    served.device.action("block_dev", 0)
    served.device.action("reset_ring", 1)
    equal(Status.of(served.device)["buffers_kept"], 0, "kept buffers after the reset")


def _read_on(device: Device, begun: mmap.mmap, place: int) -> int:
    """Reads the file again and again until it goes; returns how often it was there."""
    count = 0
    path = debugfs.path(device)
    while True:
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return count
        except OSError as error:
            # It went between open and read.
            assert error.errno == errno.EIO, error
            return count
        if text:
            Status(text).check()
            count += 1
            begun[place] = 1


@suite.test("reading while commands run and the device goes is safe", limit=90)
def any_time(context: Context) -> None:
    for _ in range(5):
        inner = Context()
        try:
            rig = Rig(inner)
            disk = rig.disk()
            begun = mmap.mmap(-1, 2)
            readers = [
                Task(context, partial(_read_on, rig.device, begun, number), f"reader {number}")
                for number in range(2)
            ]
            for number in range(30):
                disk.write(8 * number, pattern(number, 8 * BLOCK))
            # Otherwise the device might be gone before a reader begins.
            until(partial(all, begun), "both readers")
        finally:
            errors = inner.clean_up()
        equal(errors, [], "errors while cleaning up")
        for reader in readers:
            assert reader.wait() > 0, "nothing was read"


@suite.test("an open file outlives the device, but keeps the module")
def outlived(context: Context) -> None:
    TCMU.need()
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    path = debugfs.path(device)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert os.read(descriptor, 65536), "nothing to read"
        os.lseek(descriptor, 0, os.SEEK_SET)
        device.remove()
        device.hba.remove()
        raises_errno(errno.EIO, lambda: os.read(descriptor, 65536), "reading of a device that went")
        done = modprobe("--remove", TCMU.name)
        assert done.returncode != 0, "the module went while its file is open"
    finally:
        os.close(descriptor)
    TCMU.reload()
    equal(list(path.parent.iterdir()), [], "files left behind")


if __name__ == "__main__":
    suite.run()

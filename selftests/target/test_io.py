#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads, writes and other commands through the loopback, and their completions."""

import errno
import hashlib
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from ksftlib.aio import read_many
from ksftlib.ktap import PATIENCE, Context, equal, raises_errno
from ksftlib.wait import Task
from tcmulib.rig import SIZE, Rig, Served, pattern
from tcmulib.ring import SAM_STAT_CHECK_CONDITION, UFLAG_KEEP_BUF, UFLAG_READ_LEN, UFLAG_UNKNOWN_OP
from tcmulib.scsi import (
    BLOCK,
    CHECK_CONDITION,
    GOOD,
    OWN,
    OWN_READS,
    RESERVATION_CONFLICT,
    TEST_UNIT_READY,
    read10,
    write10,
)
from tcmulib.suite import Suite

suite = Suite()

INQUIRY = b"\x12\0\0\0\x60\0"
SYNCHRONIZE_CACHE = b"\x35" + bytes(9)


@suite.test("the disk has the size and identity that the daemon gives it")
def identity(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    equal(int((Path("/sys/block") / disk.block.name / "size").read_text()) * 512, SIZE, "size")
    answer = disk.sg_io(INQUIRY, data_in=96)
    equal((answer.status, answer.data[0] & 0x1F), (GOOD, 0), "status and device type of INQUIRY")


@suite.test("what is written is read back, in sizes from one block to many pages")
def sizes(context: Context) -> None:
    rig = Rig(context, options="max_data_area_mb=8,cmd_ring_size_mb=1,hw_max_sectors=2048")
    disk = rig.disk()
    lba = 0
    for blocks in (1, 2, 7, 8, 9, 15, 16, 17, 128, 257, 1000, 2048):
        data = pattern(blocks, blocks * BLOCK)
        disk.write(lba, data)
        assert disk.read(lba, blocks) == data, f"{blocks} blocks at {lba} differ"
        lba += blocks
    lba = 0
    for blocks in (1, 2, 7, 8, 9, 15, 16, 17, 128, 257, 1000, 2048):
        data = pattern(blocks, blocks * BLOCK)
        assert disk.read(lba, blocks) == data, f"{blocks} blocks at {lba} differ later"
        lba += blocks


@suite.test("data blocks of several pages carry the same data")
def large_blocks(context: Context) -> None:
    rig = Rig(
        context,
        options="max_data_area_mb=8,data_pages_per_blk=4,cmd_ring_size_mb=1,hw_max_sectors=1024",
    )
    disk = rig.disk()
    for blocks in (1, 9, 31, 32, 33, 1023):
        data = pattern(blocks, blocks * BLOCK)
        disk.write(blocks, data)
        assert disk.read(blocks, blocks) == data, f"{blocks} blocks differ"


@suite.test("a file system keeps its files over unmounting and mounting again")
def file_system(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    mount = Path(tempfile.mkdtemp(prefix="tcmu-mount-"))
    context.defer(mount.rmdir)
    command = ["mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^has_journal", str(disk.block)]
    subprocess.run(command, check=True, timeout=60 * PATIENCE, stdout=subprocess.DEVNULL)
    files = ["mount", str(disk.block), str(mount)]
    subprocess.run(files, check=True, timeout=60 * PATIENCE)
    sums = {}
    try:
        for number in range(20):
            data = pattern(number, 1000 + number * 12345)
            (mount / f"file{number}").write_bytes(data)
            sums[number] = hashlib.sha256(data).hexdigest()
    finally:
        subprocess.run(["umount", str(mount)], check=True, timeout=60 * PATIENCE)
    subprocess.run(["blockdev", "--flushbufs", str(disk.block)], check=True, timeout=60 * PATIENCE)
    subprocess.run(files, check=True, timeout=60 * PATIENCE)
    try:
        for number, expected in sums.items():
            found = hashlib.sha256((mount / f"file{number}").read_bytes()).hexdigest()
            equal(found, expected, f"checksum of file{number}")
    finally:
        subprocess.run(["umount", str(mount)], check=True, timeout=60 * PATIENCE)


@suite.test("writers and readers at the same time keep their own data")
def concurrent(context: Context) -> None:
    rig = Rig(context, options="max_data_area_mb=1,cmd_ring_size_mb=1")
    disk = rig.disk()
    extent, rounds = 256, 6

    def worker(number: int) -> int:
        for turn in range(rounds):
            data = pattern(number * 100 + turn, extent * BLOCK)
            disk.write(number * extent, data)
            if disk.read(number * extent, extent) != data:
                raise AssertionError(f"worker {number}, round {turn}: other data came back")
        return number

    workers = [Task(context, partial(worker, n), f"worker {n}") for n in range(8)]
    equal([task.wait(30) for task in workers], list(range(8)), "workers")


@suite.test("commands without data complete")
def no_data(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    equal(disk.sg_io(TEST_UNIT_READY).status, GOOD, "TEST UNIT READY")
    equal(disk.sg_io(SYNCHRONIZE_CACHE).status, GOOD, "SYNCHRONIZE CACHE")
    last = [event for event in rig.daemon.events("cmd") if event["opcode"] == 0x35][-1]
    equal(last["len"], 0, "length of the data")


@suite.test("sense data reaches the initiator as the daemon wrote it")
def sense(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    for triple in ((0x3, 0x11, 0x00), (0x4, 0x44, 0x00), (0x2, 0x04, 0x01)):
        rig.daemon.ctl("sense {} {} {} {},count=1".format(*triple, OWN_READS))
        answer = disk.sg_io(read10(OWN, 1), data_in=BLOCK)
        equal((answer.status, answer.sense_triple), (CHECK_CONDITION, triple), "status and sense")
    equal(disk.sg_io(read10(OWN, 1), data_in=BLOCK).status, GOOD, "status of the next READ")


@suite.test("a medium error fails the reader, and only that one")
def medium_error(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    data = pattern(1, BLOCK * 8)
    disk.write(OWN, data)
    rig.daemon.ctl(f"sense 3 0x11 0 {OWN_READS},count=1")
    try:
        disk.read(OWN, 8)
    except OSError:
        pass
    else:
        raise AssertionError("the read succeeded")
    assert disk.read(OWN, 8) == data


@suite.test("a status without sense data reaches the initiator")
def plain_status(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    rig.daemon.ctl("hold opcode=0x00,count=1")
    task = disk.task_sg(TEST_UNIT_READY)
    (held,) = rig.daemon.wait_held(1)
    rig.daemon.ctl(f"complete {held} {RESERVATION_CONFLICT}")
    equal(task.wait().status, RESERVATION_CONFLICT, "status")


@suite.test("commands complete in another order than they came")
def out_of_order(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    for number in range(4):
        disk.write(OWN + number * 8, pattern(number, 8 * BLOCK))
    rig.daemon.ctl(f"hold {OWN_READS},count=3")
    held, tasks = [], []
    for number in range(3):
        tasks.append(disk.task_read(OWN + number * 8, 8))
        held.append(rig.daemon.wait_held(number + 1)[-1])
    assert disk.read(OWN + 24, 8) == pattern(3, 8 * BLOCK), "the READ that is not held"
    for number in (2, 0, 1):
        tasks[number].still_blocked(0.05)
        rig.daemon.ctl(f"release {held[number]}")
        assert tasks[number].wait() == pattern(number, 8 * BLOCK), f"data of READ {number}"
    completed = [event["id"] for event in rig.daemon.events("complete")]
    order = [ident for ident in completed if ident in held][-3:]
    equal(order, [held[2], held[0], held[1]], "order of completion")


@suite.test("many more commands than the data area holds all complete")
def beyond_data_area(context: Context) -> None:
    # 256 blocks of 4 KiB, 16 readers of 64 KiB each twice over
    rig = Rig(context, options="max_data_area_mb=1,cmd_ring_size_mb=1")
    disk = rig.disk()
    data = pattern(5, 2 << 20)
    for start in range(0, len(data), 1 << 18):
        disk.write(start // BLOCK, data[start : start + (1 << 18)])
    rig.daemon.ctl("pause")
    tasks = [disk.task_read(number * 128, 128) for number in range(32)]
    for task in tasks[:4]:
        task.still_blocked(0.05)
    rig.daemon.ctl("resume")
    for number, task in enumerate(tasks):
        assert task.wait() == data[number << 16 : (number + 1) << 16], f"data of READ {number}"


@suite.test("an unknown operation becomes CHECK CONDITION")
def unknown_operation(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(TEST_UNIT_READY)
    entry = served.ring.next()
    equal(entry.cdb, TEST_UNIT_READY, "CDB")
    served.ring.complete(entry, uflags=UFLAG_UNKNOWN_OP)
    answer = task.wait()
    equal(answer.status, CHECK_CONDITION, "status")
    equal(answer.sense_triple, (0x2, 0x08, 0x00), "sense")


@suite.test("an entry describes its command exactly")
def entry_layout(context: Context) -> None:
    served = Served(context)
    data = pattern(9, 20 * BLOCK)
    task = served.disk.task_sg(write10(3, 20), data_out=data)
    entry = served.ring.next()
    equal(entry.cdb, write10(3, 20), "CDB")
    equal(sum(length for _, length in entry.iov), len(data), "length of the buffers")
    assert entry.length % 8 == 0 and entry.length >= 112 + 16, entry
    assert 1 <= entry.cmd_id <= 0xFFFF, entry
    found = b"".join(served.ring.map[start : start + length] for start, length in entry.iov)
    assert found == data, "the data area holds other data"
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")


@suite.test("a short read reports what is missing")
def short_read(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(INQUIRY, data_in=96)
    entry = served.ring.next()
    start, length = entry.iov[0]
    equal(length, 96, "length of the buffer")
    served.ring.map[start : start + 96] = b"A" * 96
    served.ring.complete(entry, uflags=UFLAG_READ_LEN, read_len=36)
    answer = task.wait()
    equal((answer.status, answer.residual), (GOOD, 60), "status and residual")
    equal(answer.data[:36], b"A" * 36, "data")


@suite.test("a read length beyond the buffer counts as the buffer's")
def long_read(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(INQUIRY, data_in=96)
    entry = served.ring.next()
    start, _ = entry.iov[0]
    served.ring.map[start : start + 96] = b"B" * 96
    served.ring.complete(entry, uflags=UFLAG_READ_LEN, read_len=0xFFFFFFF0)
    answer = task.wait()
    equal((answer.status, answer.residual, answer.data), (GOOD, 0, b"B" * 96), "answer")


@suite.test("sense data may come with data")
def sense_with_data(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(INQUIRY, data_in=96)
    entry = served.ring.next()
    start, _ = entry.iov[0]
    served.ring.map[start : start + 96] = b"C" * 96
    recovered = bytes([0x70, 0, 1, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x17, 0x01, 0, 0, 0, 0])
    served.ring.complete(
        entry, SAM_STAT_CHECK_CONDITION, uflags=UFLAG_READ_LEN, read_len=96, sense=recovered
    )
    answer = task.wait()
    equal(answer.status, CHECK_CONDITION, "status")
    equal(answer.sense_triple, (0x1, 0x17, 0x01), "sense")
    equal(answer.data, b"C" * 96, "data")


@suite.test("a kept buffer stays until it is freed, once")
def keep_buffer(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = served.ring.next()
    served.ring.complete(entry, uflags=UFLAG_KEEP_BUF)
    equal(task.wait().status, GOOD, "status")
    # Its id and its block stay out of use.
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    other = served.ring.next()
    assert other.cmd_id != entry.cmd_id and other.iov != entry.iov, (entry, other)
    served.ring.complete(other)
    task.wait()
    served.device.action("free_kept_buf", entry.cmd_id)
    raises_errno(
        errno.EINVAL,
        lambda: served.device.action("free_kept_buf", entry.cmd_id),
        "freeing it twice",
    )


@suite.test("free_kept_buf refuses a command in flight")
def free_in_flight(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = served.ring.next()
    raises_errno(
        errno.EINVAL, lambda: served.device.action("free_kept_buf", entry.cmd_id), "freeing it"
    )
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")


@suite.test("closing the node frees kept buffers")
def close_frees(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = served.ring.next()
    served.ring.complete(entry, uflags=UFLAG_KEEP_BUF)
    task.wait()
    served.ring.close()
    raises_errno(
        errno.EINVAL,
        lambda: served.device.action("free_kept_buf", entry.cmd_id),
        "freeing it after the close",
    )


@suite.test("the ring goes round, with padding at its end")
def wrap(context: Context) -> None:
    # 8190 entries of 128 bytes and a rest: the last one does not fit before the end.
    rig = Rig(context)
    disk = rig.disk()
    disk.queue("nomerges", 2)
    task = Task(context, lambda: read_many(disk.block, 9000, 64, step=2), "9000 reads")
    equal(task.wait(35), 9000, "reads that succeeded")
    assert rig.daemon.events("pad"), "no padding after 9000 commands"
    data = pattern(77, 64 * BLOCK)
    disk.write(0, data)
    assert disk.read(0, 64) == data


if __name__ == "__main__":
    suite.run()

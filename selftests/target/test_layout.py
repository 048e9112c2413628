#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sizes: where commands and their data lie, and what does not fit."""

from functools import partial
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import Context, equal
from ksftlib.wait import Task
from tcmulib.configfs import Device
from tcmulib.rig import Rig, Served, pattern
from tcmulib.ring import UFLAG_UNKNOWN_OP, Entry, Ring
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, OWN, TEST_UNIT_READY, read10, write10
from tcmulib.suite import Suite

suite = Suite()

PAGE = 4096
MIB = 1 << 20

#: Bytes of the mailbox, in front of the command ring.
MAILBOX = 128

INVALID_CDB_FIELD = (0x5, 0x24, 0x00)


def area(served: Served, block: int) -> int:
    """Offset of a block of 4 KiB of the data area."""
    return served.ring.cmdr_off + served.ring.cmdr_size + block * PAGE


def send(served: Served, blocks: int) -> tuple[Task, Entry]:
    """A READ of so many blocks of 512 bytes."""
    task = served.disk.task_sg(read10(0, blocks), data_in=blocks * BLOCK)
    return task, served.ring.next()


def finish(served: Served, task: Task, entry: Entry) -> None:
    """Answers one, at whatever place the tail is."""
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")


def data_blocks(context: Context, pages: int) -> None:
    """Commands with data around the ends of blocks of so many pages."""
    served = Served(context, f"max_data_area_mb=4,data_pages_per_blk={pages},cmd_ring_size_mb=1")
    block = pages * PAGE
    lengths = (BLOCK, block - BLOCK, block, block + BLOCK, 3 * block - BLOCK, 3 * block)
    for length in [length for length in lengths if 0 < length <= 126 * 1024]:
        data = pattern(length, length)
        task = served.disk.task_sg(write10(0, length // BLOCK), data_out=data)
        entry = served.ring.next()
        # An idle area is filled from its start, without a gap, to the byte.
        equal(entry.iov, ((area(served, 0), length),), f"buffers of {length} bytes")
        found = served.ring.map[area(served, 0) : area(served, 0) + length]
        assert found == data, f"{length} bytes: other data in the area"
        finish(served, task, entry)
        task = served.disk.task_sg(read10(0, length // BLOCK), data_in=length)
        entry = served.ring.next()
        served.ring.map[area(served, 0) : area(served, 0) + length] = data[::-1]
        served.ring.complete(entry)
        assert task.wait().data == data[::-1], f"{length} bytes: other data at the initiator"


@suite.test("data blocks of one page carry data across their ends")
def one_page(context: Context) -> None:
    data_blocks(context, 1)


@suite.test("data blocks of two pages carry data across their ends")
def two_pages(context: Context) -> None:
    data_blocks(context, 2)


@suite.test("data blocks of eight pages carry data across their ends")
def eight_pages(context: Context) -> None:
    data_blocks(context, 8)


@suite.test("each command has whole blocks for itself")
def whole_blocks(context: Context) -> None:
    for pages in (1, 2, 8):
        served = Served(context, f"max_data_area_mb=1,data_pages_per_blk={pages}")
        sent = [send(served, 1) for _ in range(4)]
        starts = [entry.iov for _, entry in sent]
        expected = [((area(served, pages * number), BLOCK),) for number in range(4)]
        equal(starts, expected, f"buffers with {pages} pages a block")
        for task, entry in sent:
            finish(served, task, entry)


@suite.test("a buffer in several pieces has one iovec for each run of blocks")
def pieces(context: Context) -> None:
    served = Served(context)
    held = [send(served, 8) for _ in range(5)]
    # Blocks 0 to 4 are taken. Out of order, in the entries in front: 0 and 2 become free.
    for place, number in ((0, 0), (1, 2)):
        entry = held[place][1]
        served.ring.respond(entry, cmd_id=held[number][1].cmd_id)
        served.ring.advance(entry)
        equal(held[number][0].wait().status, GOOD, f"status of READ {number}")
    data = pattern(1, 4 * PAGE - BLOCK)
    task = served.disk.task_sg(write10(0, len(data) // BLOCK), data_out=data)
    entry = served.ring.next()
    expected = (
        (area(served, 0), PAGE),
        (area(served, 2), PAGE),
        (area(served, 5), 2 * PAGE - BLOCK),
    )
    equal(entry.iov, expected, "buffers")
    found = b"".join(served.ring.map[start : start + length] for start, length in entry.iov)
    assert found == data, "other data in the pieces"
    for place, number in ((2, 1), (3, 3), (4, 4)):
        before = held[place][1]
        served.ring.respond(before, cmd_id=held[number][1].cmd_id)
        served.ring.advance(before)
        equal(held[number][0].wait().status, GOOD, f"status of READ {number}")
    finish(served, task, entry)


@suite.test("the ring has the size that was asked for, up to 8 MiB with the mailbox")
def ring_sizes(context: Context) -> None:
    for asked, size in ((1, 1), (2, 2), (8, 8), (9, 8)):
        device = Device(context)
        device.control(f"dev_size=1048576,max_data_area_mb=2,cmd_ring_size_mb={asked}")
        device.enable()
        ring = Ring(context, device)
        equal(ring.cmdr_size, size * MIB - MAILBOX, f"cmdr_size for {asked}")
        equal(ring.size, (size + 2) * MIB, f"size of the mapping for {asked}")
        equal(ring.map[size * MIB - 1], 0, "last byte of the ring")
        ring.close()


@suite.test("an entry needs 112 bytes, or what its buffers take, and its CDB")
def entry_sizes(context: Context) -> None:
    served = Served(context)
    for cdb, length in ((TEST_UNIT_READY, 120), (read10(0, 1), 128), (b"\x88" + bytes(15), 128)):
        task = served.disk.task_sg(cdb, data_in=BLOCK if cdb[0] == 0x28 else 0)
        entry = served.ring.next()
        equal((entry.cdb, entry.length), (cdb, length), "CDB and length")
        finish(served, task, entry)
    # Five pieces: 48 + 5 * 16 is more than 112.
    held = [send(served, 8) for _ in range(9)]
    for place, number in enumerate((0, 2, 4, 6)):
        entry = held[place][1]
        served.ring.respond(entry, cmd_id=held[number][1].cmd_id)
        served.ring.advance(entry)
        held[number][0].wait()
    task, entry = send(served, 8 * 5)
    equal((len(entry.iov), entry.length), (5, 48 + 5 * 16 + 16), "pieces and length")
    for place, number in enumerate((1, 3, 5, 7, 8), start=4):
        before = held[place][1]
        served.ring.respond(before, cmd_id=held[number][1].cmd_id)
        served.ring.advance(before)
        held[number][0].wait()
    finish(served, task, entry)


@suite.test("a command as large as the data area is served, a larger one is refused")
def too_large(context: Context) -> None:
    # 1 MiB in blocks of 12 KiB: 85 of them, 1020 KiB. The loopback takes 1024 KiB at a time.
    rig = Rig(
        context,
        options="data_pages_per_blk=3,max_data_area_mb=1,cmd_ring_size_mb=1,hw_max_sectors=2048",
    )
    disk = rig.disk()
    answer = disk.sg_io(read10(0, 2040), data_in=2040 * BLOCK)
    equal(answer.status, GOOD, "status of a READ of 1020 KiB")
    large = read10(OWN, 2048)
    answer = disk.sg_io(large, data_in=2048 * BLOCK)
    equal((answer.status, answer.sense_triple), (CHECK_CONDITION, INVALID_CDB_FIELD), "answer")
    seen = [event for event in rig.daemon.events("cmd") if event["cdb"] == large.hex()]
    equal(seen, [], "what the daemon has seen of it")
    equal(disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


def sense_code(served: Served) -> int:
    """Response code of sense data that LIO itself builds."""
    task = served.disk.task_sg(TEST_UNIT_READY)
    served.ring.complete(served.ring.next(), uflags=UFLAG_UNKNOWN_OP)
    return int(task.wait().sense[0])


@suite.test("dev_size and hw_block_size tell LIO when a block's number needs 64 bits")
def last_block(context: Context) -> None:
    # Of devices whose last block does not fit in 32 bits, LIO's own sense data has the
    # descriptor format.
    limit = 1 << 32
    for block in (512, 4096):
        served = Served(
            context, f"max_data_area_mb=1,cmd_ring_size_mb=1,hw_block_size={block}"
        )
        for blocks, code in ((limit - 1, 0x70), (limit, 0x70), (limit + 1, 0x72), (limit, 0x70)):
            served.device.control(f"dev_size={blocks * block}")
            found = sense_code(served)
            equal(found, code, f"response code for {blocks} blocks of {block} bytes")
        # A part of a block at the end does not count.
        served.device.control(f"dev_size={(limit + 1) * block - 1}")
        equal(sense_code(served), 0x70, "response code without the last byte")


@suite.test("a disk with blocks of 4096 bytes carries its data")
def large_disk_blocks(context: Context) -> None:
    rig = Rig(
        context,
        "--block-size",
        "4096",
        options="max_data_area_mb=1,cmd_ring_size_mb=1,hw_block_size=4096,hw_max_sectors=16",
    )
    disk = rig.disk()
    queue = Path("/sys/block") / disk.block.name / "queue"
    equal(read(queue / "logical_block_size"), "4096", "logical block size")
    # LBAs count blocks of 4096 bytes: the disk's second one.
    data = pattern(2, PAGE)
    disk.write(8, data)
    answer = disk.sg_io(read10(1, 1), data_in=PAGE)
    equal(answer.status, GOOD, "status of a READ of block 1")
    assert answer.data == data, "other data"


@suite.test("readers and writers across many blocks keep their data with any block size")
def any_block_size(context: Context) -> None:
    for pages in (2, 8):
        rig = Rig(
            context,
            options=f"max_data_area_mb=1,data_pages_per_blk={pages},cmd_ring_size_mb=1,"
            "hw_max_sectors=1024",
        )
        disk = rig.disk()

        def worker(disk: object, number: int) -> None:
            for turn in range(3):
                blocks = 97 + number * 50
                data = pattern(number * 10 + turn, blocks * BLOCK)
                disk.write(number * 1024, data)  # type: ignore[attr-defined]
                found = disk.read(number * 1024, blocks)  # type: ignore[attr-defined]
                assert found == data, f"worker {number}, turn {turn}: other data"

        tasks = [Task(context, partial(worker, disk, n), f"worker {n}") for n in range(6)]
        for task in tasks:
            task.wait(30)


if __name__ == "__main__":
    suite.run()

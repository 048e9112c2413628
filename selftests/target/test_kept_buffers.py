#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TCMU_UFLAG_KEEP_BUF: buffers that user space keeps beyond the answer."""

import errno

from ksftlib.ktap import PACE, Context, equal, raises_errno
from ksftlib.wait import Task
from tcmulib.rig import Fill, Rig, Served, pattern
from tcmulib.ring import SAM_STAT_CHECK_CONDITION, UFLAG_KEEP_BUF, UFLAG_UNKNOWN_OP, Entry, Ring
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, TEST_UNIT_READY, Disk, read10, write10
from tcmulib.suite import Suite

suite = Suite()

#: Blocks of a READ that takes an eighth of a data area of 1 MiB.
EIGHTH = 256


def keep(disk: Disk, ring: Ring, blocks: int = 8, **response: object) -> Entry:
    """A READ that is answered and whose buffer is kept."""
    task = disk.task_sg(read10(0, blocks), data_in=blocks * BLOCK)
    entry = ring.next()
    flags = UFLAG_KEEP_BUF | int(str(response.pop("uflags", 0)))
    ring.complete(entry, uflags=flags, **response)  # type: ignore[arg-type]
    task.wait()
    return entry


def not_kept(served: Served, ident: int) -> None:
    """Fails the test if a buffer is kept under this id."""
    raises_errno(
        errno.EINVAL, lambda: served.device.action("free_kept_buf", ident), f"freeing id {ident}"
    )


def serve(served: Served, task: Task) -> Entry:
    """Answers the next entry, which must be that of `task`."""
    entry = served.ring.next()
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")
    return entry


def blocks_of(entry: Entry) -> set[int]:
    """Pages of the data area that belong to a command."""
    return {
        page
        for start, length in entry.iov
        for page in range(start >> 12, (start + length + 4095) >> 12)
    }


@suite.test("a kept buffer stays as it is while hundreds of commands come and go")
def untouched(context: Context) -> None:
    served = Served(context)
    kept = keep(served.disk, served.ring)
    (start, length), data = kept.iov[0], pattern(1, 8 * BLOCK)
    served.ring.map[start : start + length] = data
    ids = set()
    # Each takes half of the data area, so that all of it comes round.
    for turn in range(20):
        task = served.disk.task_sg(write10(0, 120), data_out=pattern(turn, 120 * BLOCK))
        entry = serve(served, task)
        ids.add(entry.cmd_id)
        assert not blocks_of(kept) & blocks_of(entry), (kept, entry)
    for _ in range(200):
        entry = serve(served, served.disk.task_sg(TEST_UNIT_READY))
        ids.add(entry.cmd_id)
    assert kept.cmd_id not in ids, f"id {kept.cmd_id} was given again"
    assert served.ring.map[start : start + length] == data, "the kept buffer has changed"
    served.device.action("free_kept_buf", kept.cmd_id)
    # The lowest free blocks are taken first: its own are among them again.
    entry = serve(served, served.disk.task_sg(write10(0, 120), data_out=bytes(120 * BLOCK)))
    assert blocks_of(kept) <= blocks_of(entry), (kept, entry)


@suite.test("several buffers are kept at a time and freed one by one, in any order")
def several(context: Context) -> None:
    served = Served(context)
    entries = [keep(served.disk, served.ring) for _ in range(4)]
    equal(len({entry.cmd_id for entry in entries}), 4, "number of ids")
    for number, entry in enumerate(entries):
        assert served.ring.map[entry.iov[0][0]] == 0, f"buffer {number}"
    for number in (2, 0, 3, 1):
        served.device.action("free_kept_buf", entries[number].cmd_id)
        not_kept(served, entries[number].cmd_id)


@suite.test("the buffers of two commands in flight are kept by one kick")
def two_at_once(context: Context) -> None:
    served = Served(context)
    tasks, entries = [], []
    for _ in range(2):
        tasks.append(served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK))
        entries.append(served.ring.next())
    for entry in entries:
        served.ring.respond(entry, uflags=UFLAG_KEEP_BUF)
    served.ring.advance(entries[1])
    equal([task.wait().status for task in tasks], [GOOD, GOOD], "status")
    for entry in entries:
        served.device.action("free_kept_buf", entry.cmd_id)


@suite.test("free_kept_buf takes its id in any notation, and refuses ids that keep nothing")
def ids(context: Context) -> None:
    served = Served(context)
    kept = keep(served.disk, served.ring)
    for ident in (kept.cmd_id + 1, 0xFFFF):
        not_kept(served, ident)
    for text, expected in (("-1", errno.EINVAL), ("65536", errno.ERANGE)):
        raises_errno(expected, lambda: served.device.action("free_kept_buf", text), f"'{text}'")
    served.device.action("free_kept_buf", f"{kept.cmd_id:#x}\n")
    not_kept(served, kept.cmd_id)


@suite.test("free_kept_buf refuses id 0 while buffers are kept", c_wedges=True)
def id_zero(context: Context) -> None:
    served = Served(context)
    kept = keep(served.disk, served.ring)
    not_kept(served, 0)
    served.device.action("free_kept_buf", kept.cmd_id)


@suite.test("a second answer for a kept buffer breaks the ring, and reset_ring frees it")
def answered_again(context: Context) -> None:
    served = Served(context)
    kept = keep(served.disk, served.ring)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = served.ring.next()
    served.ring.respond(entry, cmd_id=kept.cmd_id, uflags=UFLAG_KEEP_BUF)
    served.ring.advance(entry)
    answer = served.disk.task_sg(TEST_UNIT_READY).wait()
    equal((answer.status, answer.sense_triple), (CHECK_CONDITION, (2, 8, 0)), "answer when broken")
    served.device.action("reset_ring", 2)
    equal(task.wait().status, CHECK_CONDITION, "status of the one in flight")
    not_kept(served, kept.cmd_id)
    served.ring.position = 0
    serve(served, served.disk.task_sg(TEST_UNIT_READY))


@suite.test("the buffer of a command that has timed out can be kept")
def expired(context: Context) -> None:
    # Set before the disk is there: cmd_time_out is fixed once a LUN exports the device.
    rig = Rig(context, attributes={"cmd_time_out": int(PACE)})
    disk = rig.disk()
    rig.daemon.stop()
    ring = Ring(context, rig.device)
    ring.position = ring.tail
    task = disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = ring.next()
    answer = task.wait()
    equal((answer.status, answer.sense_triple), (CHECK_CONDITION, (2, 8, 0)), "answer")

    def free() -> None:
        rig.device.action("free_kept_buf", entry.cmd_id)

    # It is user space's, but not yet given back.
    raises_errno(errno.EINVAL, free, "freeing it before the answer")
    ring.complete(entry, uflags=UFLAG_KEEP_BUF)
    other = disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    next_entry = ring.next()
    assert not blocks_of(entry) & blocks_of(next_entry), (entry, next_entry)
    ring.complete(next_entry)
    equal(other.wait().status, GOOD, "status of the next READ")
    free()
    raises_errno(errno.EINVAL, free, "freeing it twice")
    ring.close()


@suite.test("reset_ring frees kept buffers")
def reset_frees(context: Context) -> None:
    served = Served(context)
    for level in (1, 2):
        kept = keep(served.disk, served.ring)
        served.device.action("reset_ring", level)
        served.ring.position = 0
        not_kept(served, kept.cmd_id)
        task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
        equal(serve(served, task).iov, kept.iov, f"buffer of the next READ after level {level}")


@suite.test("a buffer is kept whatever the answer was, also if there is none")
def any_answer(context: Context) -> None:
    served = Served(context)
    failed = keep(served.disk, served.ring, status=SAM_STAT_CHECK_CONDITION, sense=b"\x70")
    unknown = keep(served.disk, served.ring, uflags=UFLAG_UNKNOWN_OP)
    task = served.disk.task_sg(TEST_UNIT_READY)
    without = served.ring.next()
    served.ring.complete(without, uflags=UFLAG_KEEP_BUF)
    equal(task.wait().status, GOOD, "status of the one without data")
    for entry in (failed, unknown, without):
        served.device.action("free_kept_buf", entry.cmd_id)
        not_kept(served, entry.cmd_id)


def kept_full(served: Served) -> tuple[list[Entry], Task]:
    """Kept buffers take the whole data area, and one more READ waits for space."""
    entries = [keep(served.disk, served.ring, EIGHTH) for _ in range(8)]
    task = served.disk.task_sg(read10(0, EIGHTH), data_in=EIGHTH * BLOCK)
    task.still_blocked(0.3)
    equal(served.ring.poll(), None, "entry of a READ for which there is no space")
    return entries, task


@suite.test("freeing a buffer lets in what waits for space")
def free_lets_in(context: Context) -> None:
    served = Served(context, options=Fill.OPTIONS)
    entries, task = kept_full(served)
    served.device.action("free_kept_buf", entries[3].cmd_id)
    equal(serve(served, task).iov, entries[3].iov, "buffer of the one that waited")


@suite.test("closing the node lets in what waits for space")
def close_lets_in(context: Context) -> None:
    served = Served(context, options=Fill.OPTIONS)
    entries, task = kept_full(served)
    served.ring.close()
    served.ring = Ring(context, served.device)
    serve(served, task)
    for entry in entries:
        not_kept(served, entry.cmd_id)


if __name__ == "__main__":
    suite.run()

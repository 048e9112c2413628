#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What user space answers with, and what of it reaches the initiator: status, sense, length."""

import functools

from ksftlib.ktap import Context, equal
from ksftlib.wait import Task
from tcmulib.rig import Served, pattern
from tcmulib.ring import (
    OP_TMR,
    SAM_STAT_CHECK_CONDITION,
    SAM_STAT_GOOD,
    SENSE_SIZE,
    UFLAG_KEEP_BUF,
    UFLAG_READ_LEN,
    UFLAG_UNKNOWN_OP,
    Entry,
)
from tcmulib.scsi import (
    BLOCK,
    CHECK_CONDITION,
    GOOD,
    RESERVATION_CONFLICT,
    TASK_ABORTED,
    TEST_UNIT_READY,
    Answer,
    read10,
    write10,
)
from tcmulib.suite import Suite

suite = Suite()

CONDITION_MET, ACA_ACTIVE = 0x04, 0x30

#: Sense that LIO builds when user space gives none: LOGICAL UNIT COMMUNICATION FAILURE.
UNREACHABLE = (0x2, 0x08, 0x00)

#: Bits in byte 2 of sense data of stream devices.
FILEMARK, EOM, ILI = 0x80, 0x40, 0x20

NO_SENSE, RECOVERED_ERROR, MEDIUM_ERROR = 0x0, 0x1, 0x3

#: What the data area holds where nothing may be copied from.
FILL = b"\xa5"


@functools.cache
def the_disk() -> Served:
    """One for all tests: each answers every command that it sends."""
    return Served(suite.shared)


def sense_data(key: int, bits: int = 0, code: int = 0x70) -> bytes:
    """96 bytes of sense data, no two of those behind the header the same."""
    header = [code | 0x80, 0, bits | key, 0xDE, 0xAD, 0xBE, 0xEF, SENSE_SIZE - 8]
    if code == 0x72:
        header = [code, key, 0x11, 0x0B, 0, 0, 0, SENSE_SIZE - 8]
    return bytes(header) + bytes(range(8, SENSE_SIZE))


def send_read(served: Served, length: int) -> tuple[Task, Entry]:
    """A READ of whole blocks, or an INQUIRY; its buffer in the data area is filled with `FILL`."""
    cdb = b"\x12\0\0" + length.to_bytes(2, "big") + b"\0"
    if length % BLOCK == 0:
        cdb = read10(0, length // BLOCK)
    task = served.disk.task_sg(cdb, data_in=length)
    entry = served.ring.next()
    equal(entry.cdb, cdb, "CDB")
    put(served, entry, FILL * length)
    return task, entry


def put(served: Served, entry: Entry, data: bytes) -> None:
    """Writes into the buffers of a command."""
    for start, length in entry.iov:
        served.ring.map[start : start + length] = data[:length]
        data = data[length:]


def outcome(answer: Answer) -> tuple[int, int]:
    """Status and residual."""
    return answer.status, answer.residual


@suite.test("96 bytes of sense data arrive byte for byte, fixed and descriptor format")
def sense_bytes(_context: Context) -> None:
    served = the_disk()
    for code in (0x70, 0x72):
        sense = sense_data(MEDIUM_ERROR, code=code)
        task, entry = send_read(served, BLOCK)
        served.ring.complete(entry, SAM_STAT_CHECK_CONDITION, sense=sense)
        answer = task.wait()
        equal((answer.status, answer.sense.hex()), (CHECK_CONDITION, sense.hex()), "answer")


@suite.test("a status other than CHECK CONDITION arrives as it is, and without sense data")
def statuses(_context: Context) -> None:
    served = the_disk()
    for status in (CONDITION_MET, RESERVATION_CONFLICT, ACA_ACTIVE, TASK_ABORTED):
        task = served.disk.task_sg(TEST_UNIT_READY)
        served.ring.complete(served.ring.next(), status, sense=sense_data(MEDIUM_ERROR))
        answer = task.wait()
        equal((answer.status, answer.sense), (status, b""), f"answer with status {status:#x}")


@suite.test("CHECK CONDITION without a read length brings no data")
def sense_without_data(_context: Context) -> None:
    served = the_disk()
    task, entry = send_read(served, 8 * BLOCK)
    # A length without its flag is none.
    served.ring.complete(
        entry, SAM_STAT_CHECK_CONDITION, sense=sense_data(RECOVERED_ERROR), read_len=BLOCK
    )
    answer = task.wait()
    equal(answer.sense.hex(), sense_data(RECOVERED_ERROR).hex(), "sense")
    assert FILL not in answer.data, "the data area was copied"


@suite.test("CHECK CONDITION with a read length brings that much data, whatever the sense says")
def stream_reads(_context: Context) -> None:
    served = the_disk()
    size, length = 8 * BLOCK, 1000
    for key in (NO_SENSE, RECOVERED_ERROR, MEDIUM_ERROR):
        for bits in (0, FILEMARK, EOM, ILI):
            sense, data = sense_data(key, bits), pattern(key << 8 | bits, length)
            task, entry = send_read(served, size)
            put(served, entry, data + FILL * (size - length))
            served.ring.complete(
                entry,
                SAM_STAT_CHECK_CONDITION,
                uflags=UFLAG_READ_LEN,
                read_len=length,
                sense=sense,
            )
            answer = task.wait()
            what = f"with sense key {key}, bits {bits:#x}"
            equal(outcome(answer), (CHECK_CONDITION, size - length), f"outcome {what}")
            equal(answer.sense.hex(), sense.hex(), f"sense {what}")
            assert answer.data[:length] == data, f"other data {what}"
            assert FILL not in answer.data[length:], f"more data than said {what}"


@suite.test("a short read copies what there is, to the byte")
def short_reads(_context: Context) -> None:
    served = the_disk()
    size = 3 * 4096
    for length in (1, 511, 4095, 4096, 4097, 8192, size - 1, size):
        data = pattern(length, length)
        task, entry = send_read(served, size)
        put(served, entry, data + FILL * (size - length))
        served.ring.complete(entry, uflags=UFLAG_READ_LEN, read_len=length)
        answer = task.wait()
        equal(outcome(answer), (GOOD, size - length), f"outcome with {length} bytes")
        assert answer.data[:length] == data, f"other data with {length} bytes"
        assert FILL not in answer.data[length:], f"more than {length} bytes were copied"


@suite.test("a read length of 0, or without its flag, means the whole buffer")
def whole_reads(_context: Context) -> None:
    served = the_disk()
    for uflags, length in ((UFLAG_READ_LEN, 0), (0, 0), (0, 100)):
        task, entry = send_read(served, 4 * BLOCK)
        served.ring.complete(entry, uflags=uflags, read_len=length)
        answer = task.wait()
        equal(outcome(answer), (GOOD, 0), f"outcome with flags {uflags}, length {length}")
        equal(answer.data, FILL * 4 * BLOCK, f"data with flags {uflags}, length {length}")


@suite.test("a read length means nothing for a write or a command without data")
def no_reads(_context: Context) -> None:
    served = the_disk()
    for cdb, data in ((write10(0, 4), pattern(1, 4 * BLOCK)), (TEST_UNIT_READY, b"")):
        task = served.disk.task_sg(cdb, data_out=data)
        served.ring.complete(served.ring.next(), uflags=UFLAG_READ_LEN, read_len=100)
        equal(outcome(task.wait()), (GOOD, 0), "outcome")


@suite.test("a write with a read length and CHECK CONDITION passes its sense data")
def write_sense(_context: Context) -> None:
    served = the_disk()
    sense = sense_data(MEDIUM_ERROR)
    task = served.disk.task_sg(write10(0, 4), data_out=pattern(1, 4 * BLOCK))
    served.ring.complete(
        served.ring.next(),
        SAM_STAT_CHECK_CONDITION,
        uflags=UFLAG_READ_LEN,
        read_len=100,
        sense=sense,
    )
    answer = task.wait()
    equal((answer.status, answer.sense.hex()), (CHECK_CONDITION, sense.hex()), "answer")


@suite.test("an unknown operation outweighs status, sense data, read length and data")
def unknown_operation(_context: Context) -> None:
    served = the_disk()
    for status in (SAM_STAT_GOOD, SAM_STAT_CHECK_CONDITION, RESERVATION_CONFLICT):
        task, entry = send_read(served, 4 * BLOCK)
        served.ring.complete(
            entry,
            status,
            uflags=UFLAG_UNKNOWN_OP | UFLAG_READ_LEN,
            read_len=BLOCK,
            sense=sense_data(MEDIUM_ERROR),
        )
        answer = task.wait()
        equal((answer.status, answer.sense_triple), (CHECK_CONDITION, UNREACHABLE), "answer")
        assert FILL not in answer.data, "the data area was copied"


@suite.test("flags in a notification's entry mean nothing")
def notification_flags(context: Context) -> None:
    served = the_disk()
    served.device.set_attrib("tmr_notification", 1)
    context.defer(lambda: served.device.set_attrib("tmr_notification", 0))
    for uflags in (UFLAG_UNKNOWN_OP, UFLAG_READ_LEN, UFLAG_KEEP_BUF, 0xFF):
        reset = served.disk.task_reset()
        entry = served.ring.next()
        equal((entry.op, entry.tmr_type, entry.ids), (OP_TMR, 5, ()), "entry")
        # uflags is the eighth byte of the header.
        served.ring.poke(entry.offset + 7, bytes([uflags]))
        served.ring.advance(entry)
        reset.wait()
        task = served.disk.task_sg(TEST_UNIT_READY)
        # The unit attention that the reset leaves is LIO's own answer.
        task.wait()
        task, entry = send_read(served, BLOCK)
        served.ring.complete(entry)
        equal(task.wait().status, GOOD, f"status of a READ after flags {uflags:#x}")


@suite.test("answers may stand in each other's entries")
def swapped(_context: Context) -> None:
    served = the_disk()
    sense = sense_data(MEDIUM_ERROR)
    first, first_entry = send_read(served, BLOCK)
    second, second_entry = send_read(served, 2 * BLOCK)
    put(served, second_entry, pattern(2, 2 * BLOCK))
    served.ring.respond(first_entry, cmd_id=second_entry.cmd_id)
    served.ring.advance(first_entry)
    answer = second.wait()
    equal((answer.status, answer.data), (GOOD, pattern(2, 2 * BLOCK)), "answer of the second")
    first.still_blocked(0.05)
    served.ring.respond(
        second_entry, SAM_STAT_CHECK_CONDITION, cmd_id=first_entry.cmd_id, sense=sense
    )
    served.ring.advance(second_entry)
    answer = first.wait()
    equal((answer.status, answer.sense.hex()), (CHECK_CONDITION, sense.hex()), "the first's")


@suite.test("several answers with one kick all arrive, and later ones stay untouched")
def one_kick(_context: Context) -> None:
    served = the_disk()
    sent = [send_read(served, BLOCK) for _ in range(4)]
    for number, (_, entry) in enumerate(sent[:3]):
        put(served, entry, pattern(number, BLOCK))
        served.ring.respond(entry)
    served.ring.advance(sent[2][1])
    for number, (task, _) in enumerate(sent[:3]):
        equal(task.wait().data, pattern(number, BLOCK), f"data of READ {number}")
    sent[3][0].still_blocked(0.05)
    served.ring.complete(sent[3][1])
    equal(sent[3][0].wait().status, GOOD, "status of the last")


if __name__ == "__main__":
    suite.run()

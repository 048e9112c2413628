#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Who answers: LIO itself or user space (pgr_support, alua_support, emulate_pr)."""

from ksftlib.files import write
from ksftlib.ktap import PACE, Context, equal
from tcmulib.configfs import Device
from tcmulib.rig import Served
from tcmulib.ring import SAM_STAT_CHECK_CONDITION
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, RESERVATION_CONFLICT, TEST_UNIT_READY, read10
from tcmulib.suite import Suite

suite = Suite()

#: PERSISTENT RESERVE IN, READ KEYS.
READ_KEYS = bytes([0x5E, 0, 0, 0, 0, 0, 0, 0, 24, 0])

#: PERSISTENT RESERVE OUT, REGISTER, with its parameter list.
REGISTER = bytes([0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0])
NEW_KEY = bytes(8) + b"selftest" + bytes(8)

RESERVE_6, RELEASE_6 = b"\x16" + bytes(5), b"\x17" + bytes(5)

#: MAINTENANCE IN, REPORT TARGET PORT GROUPS.
REPORT_GROUPS = bytes([0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0])

REPORT_LUNS = bytes([0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0])

INVALID_OPCODE = (0x5, 0x20, 0x00)

#: NOT READY, target port in standby state.
STANDBY = (0x2, 0x04, 0x0B)

#: UNIT ATTENTION, asymmetric access state changed.
STATE_CHANGED = (0x6, 0x2A, 0x06)

STANDBY_STATE, OPTIMIZED_STATE = "2", "0"


#: Commands for reservations, and what else `task_sg` needs.
RESERVATIONS: list[tuple[bytes, dict[str, object]]] = [
    (READ_KEYS, {"data_in": 24}),
    (REGISTER, {"data_out": NEW_KEY}),
    (RESERVE_6, {}),
    (RELEASE_6, {}),
]


@suite.test("with pgr_support 1 LIO does reservations itself")
def reservations_in_core(context: Context) -> None:
    served = Served(context)
    equal(served.device.attrib("pgr_support"), "1", "pgr_support")
    for cdb in (RESERVE_6, RELEASE_6):
        equal(served.disk.sg_io(cdb).status, GOOD, f"status of {cdb.hex()}")
    answer = served.disk.sg_io(READ_KEYS, data_in=24)
    equal((answer.status, answer.data[4:8]), (GOOD, bytes(4)), "status, and length of the keys")
    equal(served.ring.poll(), None, "entry of a reservation")


@suite.test("with pgr_support 0 reservations go to user space, and its answers come back")
def reservations_passed(context: Context) -> None:
    served = Served(context)
    served.device.set_attrib("pgr_support", 0)
    equal(served.device.attrib("pgr_support"), "0", "pgr_support")
    for cdb, arguments in RESERVATIONS:
        task = served.disk.task_sg(cdb, **arguments)
        entry = served.ring.next()
        equal(entry.cdb, cdb, "CDB")
        for start, length in entry.iov:
            if "data_out" in arguments:
                equal(served.ring.map[start : start + length], NEW_KEY, "data of REGISTER")
            else:
                served.ring.map[start : start + length] = b"K" * length
        served.ring.complete(entry)
        answer = task.wait()
        equal(answer.status, GOOD, f"status of {cdb.hex()}")
        if "data_in" in arguments:
            equal(answer.data, b"K" * 24, "data of READ KEYS")
    task = served.disk.task_sg(RESERVE_6)
    served.ring.complete(served.ring.next(), RESERVATION_CONFLICT)
    equal(task.wait().status, RESERVATION_CONFLICT, "status of a conflict")
    # And back.
    served.device.set_attrib("pgr_support", 1)
    equal(served.disk.sg_io(READ_KEYS, data_in=24).status, GOOD, "status of LIO's own")
    equal(served.ring.poll(), None, "entry of a reservation")


@suite.test("with emulate_pr 0 reservations are refused, whoever would do them")
def no_reservations(context: Context) -> None:
    served = Served(context)
    served.device.set_attrib("emulate_pr", 0)
    for support in (1, 0):
        served.device.set_attrib("pgr_support", support)
        for cdb, arguments in RESERVATIONS:
            answer = served.disk.task_sg(cdb, **arguments).wait()
            equal(
                (answer.status, answer.sense_triple),
                (CHECK_CONDITION, INVALID_OPCODE),
                f"answer to {cdb.hex()} with pgr_support {support}",
            )
    equal(served.ring.poll(), None, "entry of a reservation")


def set_state(device: Device, state: str) -> None:
    """Access state of the port group that LUNs are in at first."""
    write(device.path / "alua/default_tg_pt_gp/alua_access_state", state)


@suite.test("with alua_support 1 LIO refuses commands in standby state, with 0 it passes them on")
def access_states(context: Context) -> None:
    served = Served(context)
    equal(served.device.attrib("alua_support"), "1", "alua_support")
    set_state(served.device, STANDBY_STATE)
    context.defer(lambda: set_state(served.device, OPTIMIZED_STATE))
    # LIO tells of the change, with the next command.
    equal(served.disk.sg_io(TEST_UNIT_READY).sense_triple, STATE_CHANGED, "unit attention")
    for support in (1, 0, 1):
        served.device.set_attrib("alua_support", support)
        equal(served.device.attrib("alua_support"), str(support), "alua_support")
        task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK, timeout=3 * PACE)
        if support:
            answer = task.wait()
            equal((answer.status, answer.sense_triple), (CHECK_CONDITION, STANDBY), "answer")
            equal(served.ring.poll(), None, "entry of a READ in standby state")
        else:
            served.ring.complete(served.ring.next())
            equal(task.wait().status, GOOD, "status of a READ that is passed on")


@suite.test("REPORT TARGET PORT GROUPS is user space's to answer, whatever alua_support is")
def report_groups(context: Context) -> None:
    served = Served(context)
    sense = bytes([0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0])
    for support in (1, 0):
        served.device.set_attrib("alua_support", support)
        task = served.disk.task_sg(REPORT_GROUPS, data_in=64)
        entry = served.ring.next()
        equal(entry.cdb, REPORT_GROUPS, "CDB")
        served.ring.complete(entry, SAM_STAT_CHECK_CONDITION, sense=sense)
        answer = task.wait()
        equal((answer.status, answer.sense_triple), (CHECK_CONDITION, INVALID_OPCODE), "answer")


@suite.test("REPORT LUNS is always LIO's to answer")
def report_luns(context: Context) -> None:
    served = Served(context)
    served.device.set_attrib("pgr_support", 0)
    served.device.set_attrib("alua_support", 0)
    answer = served.disk.sg_io(REPORT_LUNS, data_in=64)
    equal((answer.status, answer.data[:4]), (GOOD, b"\0\0\0\x08"), "status and length of the list")
    equal(served.ring.poll(), None, "entry of REPORT LUNS")


if __name__ == "__main__":
    suite.run()

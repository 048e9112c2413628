#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""EXTENDED COPY and task management: the core's own READs and WRITEs, which no initiator sent.

They lie on the stack of the thread that copies, in a session that is no initiator's.
"""

from ksftlib.ktap import Context, equal
from tcmulib import xcopy
from tcmulib.exported import Exported, ExportedRam, become_ready
from tcmulib.iblock import iblock
from tcmulib.iscsi_raw import COMPLETE, LUN_RESET, Answer, RawSession
from tcmulib.ram import Ram
from tcmulib.rig import Rig, pattern
from tcmulib.scsi import BLOCK, GOOD, TASK_ABORTED, read10, write10
from tcmulib.suite import Suite

suite = Suite()

#: What is copied, and where to, in blocks.
BLOCKS, TO = 8, 64


class Copy:
    """An EXTENDED COPY of `session` that has been sent."""

    def __init__(self, session: RawSession, source: int = 0, destination: int = 0) -> None:
        self.session = session
        names = xcopy.naa(session, source), xcopy.naa(session, destination)
        cdb, parameters = xcopy.extended_copy(*names, BLOCKS, TO)
        self.tag = session.command(cdb, write=parameters)

    def is_reset(self, other: RawSession, release: "object", tas: int) -> None:
        """A LUN RESET of another session comes while the copy waits for the backend."""
        reset = other.task_management(LUN_RESET)
        # The copy goes on until the backend has done what it asked for.
        other.silent(reset, 1.0)
        self.session.silent(self.tag, 0.0)
        assert callable(release)
        release()
        equal(other.wait(reset), Answer(COMPLETE), "response to the reset")
        if tas:
            equal(self.session.wait(self.tag), Answer(TASK_ABORTED), "answer to the copy")
        else:
            self.session.silent(self.tag, 0.2)


def check_copied(session: RawSession) -> None:
    """A copy that nobody disturbs brings every byte to its place, and the device lives on."""
    become_ready(session)
    content = pattern(7, BLOCKS * BLOCK)
    answer = session.wait(session.command(write10(0, BLOCKS), write=content))
    equal(answer.code, GOOD, "status of WRITE")
    equal(session.wait(Copy(session).tag), Answer(GOOD), "answer to an EXTENDED COPY")
    answer = session.wait(session.command(read10(TO, BLOCKS), read=BLOCKS * BLOCK))
    equal(answer, Answer(GOOD, content), "the copy")


def named_ram(context: Context) -> Ram:
    """A disk of the sample backend that a copy can name."""
    ram = Ram(context)
    xcopy.name(ram.device, f"xcopy-{ram.device.hba.number}")
    return ram


def with_sample(context: Context, tas: int) -> None:
    """Against the sample backend, which keeps the core's READ."""
    exported = ExportedRam(context, tas, named_ram(context))
    first, second = exported.session(), exported.session()
    exported.ram.hold()
    copy = Copy(first)
    exported.ram.wait_held(1)
    copy.is_reset(second, exported.ram.relax, tas)
    check_copied(first)


@suite.test("TAS 0, a LUN RESET leaves the core's own READ for a copy to the copy")
def sample_silent(context: Context) -> None:
    with_sample(context, 0)


@suite.test("TAS 1, a LUN RESET leaves the core's own READ for a copy to the copy")
def sample_answered(context: Context) -> None:
    with_sample(context, 1)


class ExportedBlocks(Exported):
    """A device of iblock on a disk of tcmu, whose daemon holds what the test says."""

    def __init__(self, context: Context, tas: int) -> None:
        self.rig = Rig(context, attributes={"cmd_time_out": 0})
        disk = self.rig.disk()
        # Only the daemon ends a command.
        disk.set_timeout(600)
        device = iblock(context, disk)
        device.set_attrib("emulate_tas", tas)
        xcopy.name(device, f"xcopy-{device.hba.number}")
        super().__init__(context, device)

    def relax(self) -> None:
        """Makes sure that every command gets an answer."""
        self.rig.relax()


def with_iblock(context: Context, tas: int) -> None:
    """Against iblock, which every kernel has."""
    exported = ExportedBlocks(context, tas)
    first, second = exported.session(), exported.session()
    exported.rig.daemon.ctl("hold read")
    copy = Copy(first)
    exported.rig.daemon.wait_held(1)
    copy.is_reset(second, exported.rig.daemon.let_go, tas)
    check_copied(first)


@suite.test("TAS 0, the same on iblock", c_wedges=True)
def iblock_silent(context: Context) -> None:
    with_iblock(context, 0)


@suite.test("TAS 1, the same on iblock", c_wedges=True)
def iblock_answered(context: Context) -> None:
    with_iblock(context, 1)


@suite.test("a LUN RESET of the destination does not touch the core's own WRITE")
def destination(context: Context) -> None:
    exported = ExportedRam(context, 0, named_ram(context))
    other = named_ram(context)
    other.device.set_attrib("emulate_tas", 0)
    exported.target.add_lun(other.device, 1)
    context.defer(other.relax)
    first, second = exported.session(), exported.session()
    for session in (first, second):
        # The unit attentions of LUN 1.
        for _ in range(3):
            session.wait(session.command(bytes(6), lun=1))
    content = pattern(9, BLOCKS * BLOCK)
    answer = first.wait(first.command(write10(0, BLOCKS), write=content))
    equal(answer.code, GOOD, "status of WRITE")
    other.hold()
    copy = Copy(first, 0, 1)
    other.wait_held(1)
    # The copy is no command of this logical unit.
    equal(second.wait(second.task_management(LUN_RESET, lun=1)), Answer(COMPLETE), "response")
    equal(other.number("held"), 1, "kept commands")
    other.relax()
    equal(first.wait(copy.tag), Answer(GOOD), "answer to the copy")
    for _ in range(3):
        answer = first.wait(first.command(read10(TO, BLOCKS), read=BLOCKS * BLOCK, lun=1))
    equal(answer, Answer(GOOD, content), "the copy")


if __name__ == "__main__":
    suite.run()

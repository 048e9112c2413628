# SPDX-License-Identifier: GPL-2.0
"""Initiators that lose patience: commands that are given up, and LUN RESETs.

Over iSCSI, an initiator of these tests sends ABORT TASK and LUN RESET itself, and sees each answer.
On the loopback fabric it is the kernel's SCSI layer: commands time out, its error handler aborts
them, resets the unit, and uses the memory of the commands again.
"""

import contextlib
import random
import threading
import time
from functools import partial

from ksftlib.ktap import Context
from ksftlib.wait import Task

from .exported import Exported
from .impl import implementation
from .iscsi_raw import ABORT_TASK, LUN_RESET, Closed, RawSession
from .rig import Rig
from .scsi import BLOCK, TEST_UNIT_READY, Disk, read10, write10

#: The ways in which commands are given up, by the name of the fabric.
FABRICS = ("iscsi", "loopback", "both")

#: Sessions, each with one command at a time.
_SESSIONS = 3

#: Places in the command window of a session, the most that the target allows. One is lost with each
#: command that ends without an answer, and the session is replaced when this many are left.
_WINDOW, _LEAST = 512, 64

#: Seconds between two commands of a session: they are to disturb the attack, not to take the processor.
_PAUSE = 0.5

#: Commands of the first session to one LUN RESET.
_RESETS = 16

#: Seconds for the answer to a task management function: far more than the device's time-out.
_LIMIT = 30.0

#: Disks on loopback ports of their own, and processes that use each through the block layer and by
#: SG_IO.
_DISKS, _BLOCK_PROCESSES, _SG_PROCESSES = 2, 2, 2

#: Seconds after which the SCSI layer gives a command of the block layer up. That of the device is the
#: same: commands that time out in both places at once are what the error handler is to find.
DISK_TIMEOUT = 1

#: Seconds between two LUN RESETs of the loopback fabric, at most.
_RESET_PAUSE = 6.0


def _seconds(chance: random.Random) -> float:
    """How long a command is waited for: shorter and longer than the device's own time-out."""
    return chance.choice((0.2, 0.5, 1.0, 3.0))


class IscsiAbuse:
    """Sends all that over iSCSI from `start` until `stop`.

    `size` is that of the device in bytes. Every task management function must be answered.
    """

    #: Disks of the initiator's kernel that wrong answers can take off line.
    disks: tuple[Disk, ...] = ()

    def __init__(self, context: Context, rig: Rig, size: int) -> None:
        self._target = Exported(context, rig.device, _WINDOW)
        self._blocks = size // BLOCK
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sessions = Context()
        #: Sessions are numbered without a lock.
        self._opening = threading.Lock()
        self._wrong: list[str] = []

    def start(self, context: Context, seed: int) -> None:
        """Begins, with choices that are the same for the same `seed`; ends with `context`."""
        context.defer(self.stop)
        for number in range(_SESSIONS):
            # A LUN RESET that ends the ABORT TASK of another session leaves it without an answer in C.
            resets = number == 0 and implementation() == "rust"
            work = partial(self._work, random.Random(seed + number), resets)
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """Ends all; fails the test if something was not answered."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=300)
            if thread.is_alive():
                self._wrong.append("a session that loses patience does not end")
        wrong = [*self._wrong, *self._sessions.clean_up()]
        assert not wrong, "\n".join(wrong)

    def _work(self, chance: random.Random, resets: bool) -> None:
        while not self._ended.is_set():
            try:
                with self._opening:
                    session = RawSession(self._sessions, self._target.target)
                self._use(session, chance, resets)
                session.log_out()
            except (Closed, OSError, AssertionError) as error:
                self._wrong.append(f"a session that loses patience: {error!r}")
                return

    def _use(self, session: RawSession, chance: random.Random, resets: bool) -> None:
        places = _WINDOW
        while places > _LEAST and not self._ended.wait(_PAUSE):
            if resets and chance.randrange(_RESETS) == 0:
                session.wait(session.task_management(LUN_RESET), _LIMIT)
                continue
            tag = self._send(session, chance)
            if not session.answered(tag, _seconds(chance)):
                session.wait(session.task_management(ABORT_TASK, tag), _LIMIT)
                places -= 1
            # Nobody looks at the data.
            session.answers.pop(tag, None)

    def _send(self, session: RawSession, chance: random.Random) -> int:
        blocks = chance.choice((1, 8, 64, 128))
        lba = chance.randrange(self._blocks - blocks)
        kind = chance.randrange(8)
        if kind == 0:
            return session.command(TEST_UNIT_READY)
        if kind < 5:
            return session.command(read10(lba, blocks), read=blocks * BLOCK)
        return session.command(write10(lba, blocks), write=bytes(blocks * BLOCK))


class LoopbackAbuse:
    """Lets the SCSI layer do all that on loopback ports, from `start` until its context ends.

    Error recovery stops all commands of a port, so none of them is that of the load. Any answer to a
    command will do.
    """

    def __init__(self, _context: Context, rig: Rig, size: int) -> None:
        self._blocks = size // BLOCK
        #: Disks of the initiator's kernel that wrong answers can take off line.
        self.disks = tuple(rig.disk() for _ in range(_DISKS))
        # An ABORT TASK that a LUN RESET of the same nexus ends is never answered, and the ABORT TASK
        # of any nexus in C: core-tmr.rst, Hangs of the C core (b).
        self._resetter = rig.disk() if implementation() == "rust" else None
        for disk in self.disks:
            disk.set_timeout(DISK_TIMEOUT)

    def start(self, context: Context, seed: int) -> None:
        """Begins, with choices that are the same for the same `seed`; ends with `context`."""
        works = [(disk, self._use) for disk in self.disks for _ in range(_BLOCK_PROCESSES)]
        works += [(disk, self._use_sg) for disk in self.disks for _ in range(_SG_PROCESSES)]
        if self._resetter:
            works.append((self._resetter, self._reset))
        for number, (disk, work) in enumerate(works):
            # Processes: who waits for a command that does not end can be left behind.
            Task(context, partial(work, disk, random.Random(seed + number)), f"abuse {number}")

    # Each goes on until it is killed.

    def _place(self, chance: random.Random) -> tuple[int, int]:
        blocks = chance.choice((1, 8, 64, 256))
        return chance.randrange(self._blocks - blocks), blocks

    def _use(self, disk: Disk, chance: random.Random) -> None:
        while True:
            lba, blocks = self._place(chance)
            with contextlib.suppress(OSError, AssertionError):
                if chance.randrange(2):
                    disk.read(lba, blocks)
                else:
                    disk.write(lba, bytes(blocks * BLOCK))
            time.sleep(_PAUSE)

    def _use_sg(self, disk: Disk, chance: random.Random) -> None:
        while True:
            lba, blocks = self._place(chance)
            timeout, kind = _seconds(chance), chance.randrange(8)
            with contextlib.suppress(OSError):
                if kind == 0:
                    disk.sg_io(TEST_UNIT_READY, timeout=timeout)
                elif kind < 5:
                    disk.sg_io(read10(lba, blocks), data_in=blocks * BLOCK, timeout=timeout)
                else:
                    data = bytes(blocks * BLOCK)
                    disk.sg_io(write10(lba, blocks), data_out=data, timeout=timeout)
            time.sleep(_PAUSE)

    @staticmethod
    def _reset(disk: Disk, chance: random.Random) -> None:
        while True:
            time.sleep(chance.uniform(0, _RESET_PAUSE))
            with contextlib.suppress(OSError):
                disk.lun_reset()


#: What gives commands up.
Abuse = IscsiAbuse | LoopbackAbuse


def abuses(fabric: str, context: Context, rig: Rig, size: int) -> list[Abuse]:
    """Those of a fabric, or of both, for the served device of `rig`, which has `size` bytes."""
    kinds = {"iscsi": (IscsiAbuse,), "loopback": (LoopbackAbuse,)}
    return [kind(context, rig, size) for kind in kinds.get(fabric, (IscsiAbuse, LoopbackAbuse))]

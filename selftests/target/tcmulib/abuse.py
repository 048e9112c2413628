# SPDX-License-Identifier: GPL-2.0
"""Initiators that lose patience: commands that are given up, and LUN RESETs, over iSCSI.

The SCSI layer would do both as well, for the loopback fabric. But that lets its error handler use
the memory of a command again that the target has not let go of (core-tmr.rst, Known limits), and
long runs end there.
"""

import random
import threading
from functools import partial

from .configfs import Device
from .exported import Exported
from .iscsi_raw import ABORT_TASK, LUN_RESET, Closed, RawSession
from .ktap import Context, implementation
from .scsi import BLOCK, TEST_UNIT_READY, read10, write10

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


class Abuse:
    """Sends all that from its beginning on, until `stop`.

    `size` is that of the device in bytes. Every task management function must be answered.
    """

    def __init__(self, context: Context, device: Device, size: int) -> None:
        self._target = Exported(context, device, _WINDOW)
        self._blocks = size // BLOCK
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sessions = Context()
        #: Sessions are numbered without a lock.
        self._opening = threading.Lock()
        self._wrong: list[str] = []

    def start(self, seed: int) -> None:
        """Begins, with choices that are the same for the same `seed`."""
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
            # Shorter and longer than the device's own time-out.
            if not session.answered(tag, chance.choice((0.2, 0.5, 1.0, 3.0))):
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

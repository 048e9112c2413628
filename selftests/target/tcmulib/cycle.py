# SPDX-License-Identifier: GPL-2.0
"""The whole life of a served disk, again and again: what must leave no memory behind."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ksftlib.ktap import PACE, PATIENCE, Context, equal
from ksftlib.wait import Task, until

from . import genl
from .configfs import Device, Hba
from .genl import Family
from .rig import Rig, pattern
from .scsi import BLOCK, DID_TIME_OUT, GOOD, TEST_UNIT_READY, Disk, read10

#: Bytes of the disk. A large one takes the daemon time.
_SIZE = 2 << 20

#: The blocks that are held, in the middle of the disk: nobody else reads them.
_OWN = 0x800
_OWN_READS = f"read,lba={_OWN}-{_OWN + 63}"

#: Blocks of a transfer that takes many blocks of the data area.
_LARGE = 512

#: How each event is replied to.
REPLIES = {
    genl.ADDED: genl.ADDED_DONE,
    genl.REMOVED: genl.REMOVED_DONE,
    genl.RECONFIG: genl.RECONFIG_DONE,
}


class Replies:
    """Makes the kernel wait for replies to its device events, and gives them."""

    def __init__(self, context: Context) -> None:
        self._family = Family(context)
        equal(self._family.set_features(True), 0, "answer to SET_FEATURES")
        self._ended = threading.Event()
        #: Commands that were replied to.
        self.given: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        context.defer(self._stop)

    def _serve(self) -> None:
        while not self._ended.is_set():
            if self._family.waiting(0.1):
                event = self._family.event()
                device = event.number(genl.ATTR_DEVICE_ID)
                self._family.done(REPLIES[event.command], device, 0)
                self.given.append(event.command)

    def _stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=10 * PATIENCE)
        equal(self._thread.is_alive(), False, "whether replies are still given")
        equal(self._family.set_features(False), 0, "answer to SET_FEATURES")


def _held_read(rig: Rig, disk: Disk) -> tuple[Task, int]:
    """A READ that the daemon holds, and its id."""
    rig.daemon.ctl(f"hold {_OWN_READS},count=1")
    task = disk.task_sg(read10(_OWN, 64), data_in=64 * BLOCK, timeout=120 * PACE)
    stack = Path(f"/proc/{task.pid}/stack")
    try:
        until(lambda: task.done() or rig.daemon.held(), "a held READ", 60)
    except AssertionError as error:
        where = stack.read_text() if stack.exists() else "an unknown place"
        raise AssertionError(f"{error}; its process waits in {where}") from None
    held = rig.daemon.held()
    if not held:
        raise AssertionError(f"the READ ended with {task.wait()} instead of being held")
    return task, held[0]


def _abort(rig: Rig, disk: Disk) -> None:
    """A command times out, and the daemon is told of its abort."""
    rig.daemon.ctl(f"hold {_OWN_READS},count=1")
    answer = disk.sg_io(read10(_OWN, 8), data_in=8 * BLOCK, timeout=1)
    equal(answer.host_status, DID_TIME_OUT, "host status of the aborted READ")
    equal([name for name, _ in rig.daemon.tmrs()], ["ABORT_TASK"], "notifications")


def _keep(rig: Rig, disk: Disk) -> int:
    task, held = _held_read(rig, disk)
    rig.daemon.ctl(f"complete {held} 0 keep-buf")
    equal(task.wait().status, GOOD, "status of the READ whose buffer is kept")
    return held


def _keep_and_free(rig: Rig, disk: Disk) -> None:
    """User space keeps a buffer and frees it."""
    rig.device.action("free_kept_buf", _keep(rig, disk))


def _keep_and_close(rig: Rig, disk: Disk) -> None:
    """User space leaves with a buffer that it keeps."""
    _keep(rig, disk)


def _kill(rig: Rig, disk: Disk) -> None:
    """The daemon is killed in the middle of a command, and another one takes over."""
    task, _ = _held_read(rig, disk)
    rig.daemon.kill()
    rig.restart()
    # reset_ring 1 has the initiator try again, which SG_IO leaves to us.
    task.wait()
    equal(disk.sg_io(TEST_UNIT_READY).status, GOOD, "status under the new daemon")


def _expire(rig: Rig, disk: Disk) -> None:
    """A command runs into cmd_time_out and its answer comes too late."""
    task, held = _held_read(rig, disk)
    task.wait()
    rig.daemon.ctl(f"release {held}")
    equal(disk.sg_io(TEST_UNIT_READY).status, GOOD, "status after the expired command")


def _reconfigure(rig: Rig, disk: Disk) -> None:
    """Settings change while the device runs, which somebody must listen to."""
    listener = Family(rig.context)
    rig.device.set_attrib("dev_config", "other")
    rig.device.set_attrib("dev_config", "disk/of/the/leak/test")
    listener.event()


@dataclass(frozen=True)
class Special:
    """Something that is done in one of `every` cycles."""

    every: int
    action: Callable[[Rig, Disk], None]
    #: What the device needs for it.
    attributes: dict[str, "str | int"] = field(default_factory=dict)
    #: Whether nothing else can be done on such a device.
    alone: bool = False


_SPECIALS = (
    Special(20, _abort, {"tmr_notification": 1}),
    Special(7, _keep_and_free),
    Special(6, _keep_and_close),
    Special(9, _kill),
    Special(20, _expire, {"cmd_time_out": int(PACE)}, alone=True),
    Special(4, _reconfigure),
)

#: Every so many cycles the kernel waits for netlink replies.
_REPLIED = 5


class LeftBehind:
    """Enabled devices that stay: called with a number, it leaves another one."""

    def __init__(self) -> None:
        self._context = Context()
        self._hba = Hba(self._context)

    def __call__(self, number: int) -> None:
        device = Device(self._context, f"left{number}", self._hba)
        device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
        device.enable()

    def remove(self) -> None:
        """Takes all of them away again."""
        equal(self._context.clean_up(), [], "errors while cleaning up")


def cycle(number: int) -> None:
    """Makes a device, serves it, exports it, does I/O and removes all of it.

    `number` decides what is done besides.
    """
    specials = [
        special
        for place, special in enumerate(_SPECIALS)
        if number % special.every == place % special.every
    ]
    alone = [special for special in specials if special.alone]
    specials = alone or specials
    attributes: dict[str, "str | int"] = {}
    for special in specials:
        attributes |= special.attributes
    context = Context()
    try:
        replies = Replies(context) if number % _REPLIED == 0 else None
        rig = Rig(context, attributes=attributes, size=_SIZE)
        disk = rig.disk()
        for blocks in (8, _LARGE):
            data = pattern(number, blocks * BLOCK)
            disk.write(0, data)
            assert disk.read(0, blocks) == data, f"cycle {number}: {blocks} blocks differ"
        for special in specials:
            special.action(rig, disk)
    except BaseException:
        context.diagnose()
        raise
    finally:
        errors = context.clean_up()
        assert not errors, f"at the end of cycle {number}: " + "\n".join(errors)
    if replies:
        left = {genl.ADDED, genl.REMOVED} - set(replies.given)
        equal(left, set(), "events without a reply")

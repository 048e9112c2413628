#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The UIO node is closed in every state of the device, and another daemon takes over."""

import errno
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ksftlib.ktap import LONG, PACE, Context, diag, equal, raises_errno
from ksftlib.wait import Task, until
from tcmulib import genl
from tcmulib.daemon import use_copy
from tcmulib.debugfs import Status
from tcmulib.flooded import FLOOD, Flooded
from tcmulib.genl import Family
from tcmulib.handler import Handler, see, take
from tcmulib.impl import implementation
from tcmulib.module import TCMU
from tcmulib.rig import Fill, Rig, pattern
from tcmulib.ring import OP_TMR, UFLAG_KEEP_BUF, Ring
from tcmulib.scsi import BLOCK, CHECK_CONDITION, DID_OK, DID_TIME_OUT, GOOD, read10
from tcmulib.suite import Suite
from tcmulib.tmr import functions_wait

suite = Suite()

#: How it is closed.
WAYS: dict[str, Callable[[Handler], None]] = {
    "it closes and exits": Handler.close,
    "SIGKILL": Handler.kill,
    "its mapping goes after its descriptors": Handler.close_mapping_last,
}


class Bench:
    """A device, and in each round another handler for its daemon."""

    def __init__(self, context: Context, options: str, attributes: "dict[str, str | int]") -> None:
        self.context = context
        self.rig = Rig(context, options=options, attributes=attributes)
        self.device = self.rig.device
        self.disk = self.rig.disk()
        self.round = 0

    def begin(self) -> None:
        """A handler instead of the daemon."""
        self.round += 1
        self.rig.daemon.stop()
        self.handler = Handler(self.context, self.device)
        #: What must end, and how: its status, unless that does not matter, and its host status.
        self.ends: list[tuple[Task, "int | None", int]] = []
        #: Done before there is another daemon.
        self.between: "Callable[[], object]" = lambda: None
        #: Done when it is there, before commands are waited for.
        self.afterwards: "Callable[[], object]" = lambda: None

    def send(
        self,
        count: int,
        blocks: int = 8,
        timeout: float = 2 * LONG,
        end: "tuple[int | None, int]" = (GOOD, DID_OK),
    ) -> list[Task]:
        """So many READs; `end` is how they must end."""
        tasks = [
            self.disk.task_sg(read10(lba, blocks), data_in=blocks * BLOCK, timeout=timeout)
            for lba in range(0, count * blocks, blocks)
        ]
        self.ends += [(task, *end) for task in tasks]
        return tasks

    def take_over(self, reset: bool) -> None:
        """A new daemon; all that was sent ends, and what is written is read back."""
        self.between()
        # The node was closed: otherwise the daemon would not get it.
        self.rig.restart(reset_ring=reset)
        self.afterwards()
        for task, status, host_status in self.ends:
            answer = task.wait(30)
            equal(answer.host_status, host_status, "host status of a READ")
            if status is not None:
                equal(answer.status, status, "status of a READ")
        data = pattern(self.round, 64 * BLOCK)
        self.disk.write(self.round * 64, data)
        assert self.disk.read(self.round * 64, 64) == data, "data under the new daemon"


@functools.cache
def _start_daemons_fast() -> None:
    """There are many."""
    folder = tempfile.mkdtemp(prefix="tcmu-test-")
    suite.shared.defer(lambda: shutil.rmtree(folder))
    use_copy(Path(folder))


@dataclass(frozen=True)
class State:
    """What the device is in when it is closed."""

    enter: Callable[[Bench], object]
    #: Whether nobody can go on with the ring as it is.
    needs_reset: bool
    options: str
    attributes: "dict[str, str | int]"

    def __call__(self, context: Context) -> None:
        """All ways to close it; in the end device and module go."""
        _start_daemons_fast()
        equal(TCMU.references(), 0, "users of the module before")
        inner = Context()
        try:
            bench = Bench(inner, self.options, self.attributes)
            for name, close in WAYS.items():
                for reset in (True,) if self.needs_reset else (False, True):
                    diag(f"{name}, then {'reset_ring' if reset else 'the ring as it is'}")
                    bench.begin()
                    self.enter(bench)
                    close(bench.handler)
                    bench.take_over(reset)
        except BaseException:
            inner.diagnose()
            raise
        finally:
            errors = inner.clean_up()
        equal(errors, [], "errors while cleaning up")
        equal(TCMU.references(), 0, "users of the module afterwards")
        if TCMU.available():
            TCMU.reload()


def closed(
    state: str,
    needs_reset: bool = False,
    options: str = "max_data_area_mb=8,cmd_ring_size_mb=1",
    **attributes: int,
) -> Callable[[Callable[[Bench], object]], object]:
    """Registers the test for a state that the function brings about."""

    def register(enter: Callable[[Bench], object]) -> object:
        test = State(enter, needs_reset, options, dict(attributes))
        return suite.test(f"closed {state}", limit=90)(test)

    return register


@closed("before the first command")
def idle(_bench: Bench) -> None:
    pass


@closed("with commands that nobody has read")
def unread(bench: Bench) -> None:
    bench.send(3)
    bench.handler.do(see, 3)


@closed("with commands that were read")
def unanswered(bench: Bench) -> None:
    bench.send(3)
    bench.handler.do(take, 3)


def _answer_silently(ring: Ring, count: int) -> None:
    for entry in take(ring, count):
        ring.respond(entry)
        ring.tail = (entry.offset + entry.length) % ring.cmdr_size


@closed("with answers that nobody has announced")
def silent(bench: Bench) -> None:
    tasks = bench.send(3)
    bench.handler.do(_answer_silently, 3)
    tasks[0].still_blocked(0.1)


def _answer_last_first(ring: Ring, count: int) -> None:
    entries = take(ring, count)
    ring.complete(entries[0], cmd_id=entries[-1].cmd_id)


@closed("when the last of several commands was answered first", needs_reset=True)
def out_of_order(bench: Bench) -> None:
    bench.send(3)
    bench.handler.do(_answer_last_first, 3)
    until(lambda: any(task.done() for task, *_ in bench.ends), "the answer")


@closed("with commands that wait for space", options=Fill.OPTIONS)
def waiting(bench: Bench) -> None:
    # Eight fill the data area.
    bench.send(8, blocks=256)
    bench.handler.do(see, 8)
    bench.send(2, blocks=256)
    if implementation() == "rust":
        until(lambda: Status.of(bench.device)["commands_qfull"] == 2, "commands that wait")


@closed("with commands on the ring that have timed out", cmd_time_out=int(PACE))
def expired(bench: Bench) -> None:
    tasks = bench.send(2, end=(CHECK_CONDITION, DID_OK))
    bench.handler.do(see, 2)
    for task in tasks:
        task.wait()


@closed("with an aborted command and its notification on the ring", tmr_notification=1)
def aborted(bench: Bench) -> None:
    (task,) = bench.send(1, timeout=1, end=(None, DID_TIME_OUT))
    command, notification = bench.handler.do(see, 2)
    equal((notification.op, notification.ids), (OP_TMR, (command.cmd_id,)), "notification")
    # The abort waits for the daemon.
    task.still_blocked(0.1)


def _keep(ring: Ring) -> int:
    entry = ring.next()
    ring.complete(entry, uflags=UFLAG_KEEP_BUF)
    return entry.cmd_id


@closed("with a buffer that is kept")
def kept(bench: Bench) -> None:
    (task,) = bench.send(1)
    ident = bench.handler.do(_keep)
    equal(task.wait().status, GOOD, "status")
    bench.afterwards = lambda: raises_errno(
        errno.EINVAL,
        lambda: bench.device.action("free_kept_buf", ident),
        "freeing what the close has freed",
    )


def _break(ring: Ring) -> None:
    entry = ring.next()
    ring.complete(entry, cmd_id=entry.cmd_id + 1000)


@closed("with a ring that is broken", needs_reset=True)
def broken(bench: Bench) -> None:
    (task,) = bench.send(1)
    bench.handler.do(_break)
    task.still_blocked(0.1)


@closed("while the device is blocked")
def blocked(bench: Bench) -> None:
    bench.send(2)
    bench.handler.do(see, 2)
    bench.device.action("block_dev", 1)
    # Whatever happens: nothing else would end the next one.
    bench.context.defer(lambda: bench.device.action("block_dev", 0))
    bench.send(1)
    bench.afterwards = lambda: bench.device.action("block_dev", 0)


@closed("while a netlink reply is awaited")
def awaited(bench: Bench) -> None:
    family = Family(bench.context)
    equal(family.set_features(True), 0, "answer to SET_FEATURES")
    bench.context.defer(lambda: family.set_features(False))
    bench.device.set_attrib("nl_reply_supported", 1)
    bench.context.defer(lambda: bench.device.set_attrib("nl_reply_supported", -1))
    change = Task(
        bench.context,
        lambda: bench.device.set_attrib("dev_config", f"round/{bench.round}"),
        "a new configuration",
    )
    event = family.event()
    equal(event.command, genl.RECONFIG, "event")
    bench.send(1)
    bench.handler.do(see, 1)

    def reply() -> None:
        change.still_blocked(0.1)
        ident = event.number(genl.ATTR_DEVICE_ID)
        equal(family.done(genl.RECONFIG_DONE, ident, 0), 0, "answer to the reply")
        change.wait()

    bench.afterwards = reply


@closed("while reset_ring is written again and again", needs_reset=True)
def resetting(bench: Bench) -> None:
    bench.send(4)
    bench.handler.do(see, 1)

    def write() -> None:
        for _ in range(200):
            bench.device.action("reset_ring", 1)

    resets = Task(bench.context, write, "200 resets")
    bench.between = resets.wait


@suite.test("closed while a notification waits for space", limit=120)
def notification_waits(context: Context) -> None:
    flooded = Flooded(context)
    reset = flooded.reset()
    functions_wait()
    reset.still_blocked(0.5)
    rig = flooded.rig
    rig.daemon.kill()
    for close in WAYS.values():
        close(Handler(context, rig.device))
    reset.still_blocked(0.1)
    rig.restart(reset_ring=False)
    reset.wait(40)
    flooded.finish()
    equal([(name, len(ids)) for name, ids in rig.daemon.tmrs()], [("LUN_RESET", FLOOD)], "told")


if __name__ == "__main__":
    suite.run()

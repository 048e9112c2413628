#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Associations that end while the target waits for completions: nothing is freed too early.

The kernel's own checkers are what would report it, on the debug kernel.
"""

from collections.abc import Callable

from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import until
from nvmelib.bounce import TARGET_PORT, Callbacks
from nvmelib.fcloop import LateFcloop
from nvmelib.host import Options
from nvmelib.load import Load, check, fill
from nvmelib.module import HOST, TARGET, reload_transports
from nvmelib.rig import Rig
from nvmelib.suite import Suite

suite = Suite()

#: Milliseconds between a response and its completion.
LATE = 6000

#: Commands of each queue whose completion is still to come, at least.
COMMANDS = 8


class Outstanding:
    """A host whose reads have ended, as far as it knows; the target waits for their completions."""

    def __init__(self, context: Context, defer: int = 1) -> None:
        self.context = context
        self.fabric = LateFcloop(context, defer=defer)
        options = Options(nr_io_queues=2, queue_size=32, ctrl_loss_tmo=3600)
        self.rig = Rig(context, options, self.fabric)
        load = Load(context, self.rig.disk(), COMMANDS, blocks=1)
        load.progress()
        self.fabric.set(response_delay_ms=LATE)
        until(lambda: self.fabric.count("outstanding") >= COMMANDS, "late completions")
        load.tell()
        self.load = load

    def finish(self) -> None:
        """All completions come, nothing refers to anything, and it works again."""
        diag(f"{self.fabric.count('outstanding')} completions were outstanding at the end of it")
        self.fabric.set(response_delay_ms=0)
        self.fabric.wait_complete(LATE / 1000 + 30)
        counts = self.fabric.counts()
        equal(counts["wrong"], 0, "calls that an LLDD must not get")
        equal(counts["promoted"], counts["deferred"], "commands promoted of those deferred")


def _register(name: str, end: Callable[[Outstanding], int], comes_back: bool) -> None:
    @suite.test(f"{name} with completions that are outstanding", limit=120, c_wedges=True)
    def ends(context: Context) -> None:
        here = Outstanding(context)
        before = here.fabric.count("outstanding")
        assert before >= COMMANDS, f"only {before} completions are outstanding"
        left = end(here)
        here.finish()
        assert left > 0, "all completions came before the end"
        if not comes_back:
            here.rig.controller.disconnect()
            here.rig.controller = here.rig.connect()
        here.rig.controller.wait_live()
        disk = here.rig.disk()
        fill(disk, 32)
        check(disk, 32)


def _disconnect(here: Outstanding) -> int:
    here.rig.controller.disconnect()
    return here.fabric.count("outstanding")


def _withdraw(here: Outstanding) -> int:
    here.rig.target.withdraw()
    here.rig.target.offer()
    return here.fabric.count("outstanding")


def _target_port(here: Outstanding) -> int:
    callbacks = Callbacks(here.context, here.rig.fabric, TARGET_PORT)
    here.fabric.target.delete()
    here.rig.controller.wait_state("resetting", "connecting")
    left = here.fabric.count("outstanding")
    # The port may be registered again only then, and the callback waits for the completions.
    callbacks.wait(1)
    here.fabric.target.add()
    return left


def _remote_port(here: Outstanding) -> int:
    here.fabric.remote.delete()
    here.rig.controller.wait_state("connecting")
    here.fabric.remote.add()
    return here.fabric.count("outstanding")


def _reset(here: Outstanding) -> int:
    here.rig.controller.reset()
    here.rig.controller.wait_resets(1)
    return here.fabric.count("outstanding")


_register("disconnecting", _disconnect, comes_back=False)
_register("a reset of the controller", _reset, comes_back=True)
_register("the subsystem is withdrawn", _withdraw, comes_back=False)
_register("the target port is deleted", _target_port, comes_back=True)
_register("the remote port is deleted", _remote_port, comes_back=True)


@suite.test("the driver is unloaded with completions outstanding", limit=120, c_wedges=True)
def unload(_context: Context) -> None:
    own = Context()
    here = Outstanding(own)
    here.rig.controller.disconnect()
    left = here.fabric.count("outstanding")
    errors = own.clean_up()
    assert not errors, "\n".join(errors)
    assert left > 0, "all completions came before the end"
    equal([module.references() for module in (HOST, TARGET)], [0, 0], "users of host and target")
    reload_transports()


if __name__ == "__main__":
    suite.run()

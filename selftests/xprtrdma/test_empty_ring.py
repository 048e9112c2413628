#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""More to send than there are Send contexts: it waits, and nothing is lost."""

import errno
from functools import partial

from ksftlib.ktap import Context, diag, equal, raises_errno
from nfslib.blocks import Blocks
from nfslib.client import LONG, Mount
from nfslib.load import Parallel
from nfslib.rig import shared_servers
from nfslib.server import Server
from nfslib.slots import contexts, requests, set_slots
from nfslib.suite import Suite

suite = Suite()

servers = shared_servers(suite)

#: Operations at the same time, and how often they are done one after the other.
PARALLEL = 64
ROUNDS = 3

#: Milliseconds that the acknowledgements of Sends take: much longer than the replies.
LATE = 200


def sixty_four(context: Context, mount: Mount, blocks: Blocks, generation: int) -> None:
    """So many threads read and write at the same time; nothing may wait for a time limit."""

    def work(number: int) -> None:
        for _ in range(ROUNDS):
            blocks.read(number)
        blocks.write(PARALLEL + number, generation)

    Parallel(context, PARALLEL, work, "read and write").wait(120)
    data = blocks.behind.read_bytes()
    equal(len(data), 2 * PARALLEL * 4096, "bytes at the server")
    # A call without an answer would have closed it: see `LONG`.
    equal(mount.transport().connect_count, 1, "connections")


def written(blocks: Blocks, generation: int) -> None:
    """Fails the test unless the server has what was written."""
    blocks.check(generation, first=PARALLEL)


def _slots(context: Context, server: Server, count: int) -> Mount:
    own = Context()
    set_slots(own, count)
    mount = Mount(context, server, timeo=LONG)
    equal(own.clean_up(), [], "errors")
    return mount


@suite.test("fewer than four slots are refused")
def least(context: Context) -> None:
    for count in (0, 1, 3):
        raises_errno(errno.EINVAL, partial(set_slots, context, count), f"{count} slots")


def _register(kind: str, count: int) -> None:
    @suite.test(f"64 operations at once with {count} slots over {kind}", limit=120)
    def parallel(context: Context) -> None:
        server = servers(kind)
        mount = _slots(context, server, count)
        blocks = Blocks(server, mount.path, 2 * PARALLEL)
        sixty_four(context, mount, blocks, 1)
        written(blocks, 1)
        diag(f"the ring was empty {mount.transport().empty_sendctx_q} times")
        mount.unmount()


_register("siw", 4)
_register("rxe", 4)


@suite.test("64 operations at once with 5 to 16 slots", limit=200)
def sizes(context: Context) -> None:
    # Batches of 0, 1 and 2 work requests, just before and after each step.
    server = servers("rxe")
    for count in (5, 7, 8, 9, 15, 16):
        mount = _slots(context, server, count)
        blocks = Blocks(server, mount.path, 2 * PARALLEL, f"blocks-{count}")
        sixty_four(context, mount, blocks, count)
        written(blocks, count)
        diag(f"{count} slots: empty {mount.transport().empty_sendctx_q} times")
        mount.unmount()


def _register_late(count: int) -> None:
    @suite.test(
        f"Sends that complete late leave no context of {count} slots, and all wait", limit=200
    )
    def empty(context: Context) -> None:
        assert requests(count) > contexts(count), "the requests would not do for that"
        server = servers("rxe")
        wire = server.wire
        context.defer(wire.mend)
        mount = _slots(context, server, count)
        blocks = Blocks(server, mount.path, 2 * PARALLEL)
        wire.delay_acknowledgements(LATE)
        before = mount.transport().empty_sendctx_q
        sixty_four(context, mount, blocks, 1)
        after = mount.transport().empty_sendctx_q
        diag(f"the ring was empty {after - before} times")
        wire.mend()
        written(blocks, 1)
        assert after > before, "the ring has never been empty"
        # And it goes on as before.
        sixty_four(context, mount, blocks, 2)
        written(blocks, 2)
        mount.unmount()


for _count in (9, 16):
    _register_late(_count)


if __name__ == "__main__":
    suite.run()

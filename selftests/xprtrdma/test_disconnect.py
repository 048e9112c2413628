#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that are lost under load, in all ways: nothing stalls and nothing is lost."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ksftlib.ktap import PACE, Context, diag, equal
from ksftlib.wait import Task, until
from nfslib.blocks import Blocks
from nfslib.client import LONG, Mount
from nfslib.disconnects import Disconnects
from nfslib.load import COPIED, KIB, LARGE, MAPPED, Load, Work
from nfslib.module import RPCRDMA
from nfslib.rig import shared_servers
from nfslib.server import Server
from nfslib.suite import Suite
from nfslib.system import MNT_FORCE, umount

suite = Suite()

servers = shared_servers(suite)

#: Connections that are closed on request, and calls between two of them. One over siw takes half a
#: second.
DISCONNECTS = {"siw": 60, "rxe": 200}
INTERVAL = 7

#: Connections that the server closes.
BY_SERVER = 50

#: Mounts one after the other.
MOUNTS = 20

#: Messages of all kinds: with registered memory, with pages, and short ones.
WORKS = [
    Work((4 * KIB, 64 * KIB), direct=True, size=256 * KIB),
    Work(MAPPED, direct=True, size=32 * KIB),
    Work(COPIED, sync=True, size=32 * KIB),
    Work(LARGE[:3], size=256 * KIB, forget=True),
]

#: Seconds that the peer is silent for.
SILENCE = 3.0

#: Tenths of a second until a call without an answer closes the connection.
TIMEO = 20 * int(PACE)

_seed = 100


class Loaded:
    """A mount and what works on it."""

    def __init__(self, context: Context, server: Server, again: Sequence[int] = ()) -> None:
        global _seed
        _seed += 1
        self.mount = Mount(context, server, timeo=TIMEO)
        works = [replace(work, again=again) for work in WORKS]
        self.load = Load(context, self.mount.path, server.folder, works, seed=_seed)
        context.on_failure(lambda: f"{self.load.done()} operations, {self.mount.transports()}")
        self.load.progress(2)

    def finish(self, after: int = 5) -> None:
        """It goes on, all data is right, and the connection closes."""
        self.load.progress(after, seconds=120)
        done = self.load.stop(120)
        diag(f"{done} operations, {self.mount.transport().connect_count} connections")
        self.mount.unmount(seconds=60)


def _failing(function: Callable[[], object]) -> Callable[[], str]:
    """`function` as one that returns the error that it ends with; it may succeed as well."""

    def work() -> str:
        try:
            function()
        except OSError as error:
            return os.strerror(error.errno or 0)
        return ""

    return work


def _register(kind: str) -> None:
    @suite.test(f"{DISCONNECTS[kind]} connections over {kind} closed under load", limit=300)
    def closed(context: Context) -> None:
        close(context, "client", DISCONNECTS[kind])

    @suite.test(f"{BY_SERVER} connections over {kind} closed by the server", limit=300)
    def closed_by_server(context: Context) -> None:
        # So long that the server waits for an RDMA Read most of the time.
        wire = servers(kind).wire
        context.defer(wire.mend)
        wire.delay(10)
        close(context, "server", BY_SERVER)

    @suite.test(f"no first call of {MOUNTS} mounts over {kind} is lost", limit=300)
    def mounts(context: Context) -> None:
        server = servers(kind)
        for _ in range(MOUNTS):
            # A call that is lost is not sent again in the time that a mount has.
            Mount(context, server, timeo=LONG).unmount()

    def close(context: Context, end: str, count: int) -> None:
        loaded = Loaded(context, servers(kind))
        before = loaded.mount.transport().connect_count
        disconnects = Disconnects(context, count, INTERVAL, end)
        start = time.monotonic()
        until(lambda: disconnects.done() == count, f"{count} closed connections", 280)
        diag(f"{count} disconnects took {time.monotonic() - start:.0f} s")
        connects = loaded.mount.transport().connect_count - before
        loaded.finish()
        # One that was closed while it was not yet used again counts once.
        assert connects >= count // 2, f"only {connects} new connections"

    @suite.test(f"a peer over {kind} that falls silent for a while", limit=150)
    def silent(context: Context) -> None:
        server = servers(kind)
        loaded = Loaded(context, server)
        context.defer(server.wire.mend)
        server.wire.cut()
        time.sleep(SILENCE)
        server.wire.mend()
        loaded.finish()

    @suite.test(f"a server over {kind} that stops and starts", limit=150)
    def restart(context: Context) -> None:
        server = servers(kind)
        loaded = Loaded(context, server)
        server.stop()
        equal(server.running(), 0, "threads of the server")
        time.sleep(1)
        server.start()
        loaded.finish()

    @suite.test(f"the {kind} device goes away under load and comes back", limit=150)
    def device(context: Context) -> None:
        server = servers(kind)
        # Connecting by a device that is just going away ends with EINVAL (rdma_connect(), and what
        # looks for the device's abilities), and the client hands that on to its callers.
        loaded = Loaded(context, server, again=(errno.EINVAL,))
        server.wire.delete_device()
        time.sleep(1)
        server.wire.add_device()
        loaded.finish()

    @suite.test(f"umount -f with calls in flight over {kind}", limit=150)
    def force(context: Context) -> None:
        server = servers(kind)
        mount = Mount(context, server, timeo=TIMEO)
        blocks = Blocks(server, mount.path, 16, f"force-{kind}")
        blocks.read(0)
        context.defer(server.wire.mend)
        server.wire.cut()
        sends = mount.transport().sends
        tasks = [
            Task(context, _failing(partial(blocks.read, number)), "a read") for number in range(8)
        ]
        until(lambda: mount.transport().sends > sends, "the first call to be sent")
        # Calls in flight end with an error; new ones may still be made, by whoever comes next.
        ends = []
        while not all(task.done() for task in tasks):
            ends.append(
                Task(context, _failing(partial(umount, mount.path, MNT_FORCE)), "umount -f")
            )
            time.sleep(0.5)
        results = [task.wait() for task in tasks]
        diag(f"after {len(ends)} times umount -f the reads ended with {sorted(set(results))}")
        assert all(results), "a read succeeded although nobody could answer"
        server.wire.mend()
        for end in ends:
            end.wait(90)
        mount.unmount_if_there()
        again = Mount(context, server)
        Blocks(server, again.path, 4, f"after-{kind}").read(2)
        again.unmount()

    @suite.test(f"the module can be unloaded after all that over {kind}", limit=90)
    def unload(_context: Context) -> None:
        RPCRDMA.need()
        server = servers(kind)
        server.stop()
        until(lambda: RPCRDMA.references() == 0, f"no user of {RPCRDMA.name}", 60)
        RPCRDMA.reload()
        server.start()


# Not over rxe: with the link its queue pair for connection management may fail, and it stays in the
# error state. No connection is made any more, whatever rpcrdma does.
@suite.test("the link below siw goes down and comes up", limit=150)
def link(context: Context) -> None:
    server = servers("siw")
    loaded = Loaded(context, server)
    context.defer(lambda: server.wire.link("up"))
    server.wire.link("down")
    time.sleep(SILENCE)
    server.wire.link("up")
    loaded.finish()


for _kind in ("siw", "rxe"):
    _register(_kind)


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mounts over RDMA that come and go, and the module that goes after them."""

import errno
from pathlib import Path

from ksftlib import memory
from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import until
from nfslib.blocks import Blocks
from nfslib.client import Mount
from nfslib.module import COUNTED, RPCRDMA
from nfslib.rig import shared_servers
from nfslib.server import Server
from nfslib.suite import Suite

suite = Suite()

servers = shared_servers(suite)

#: A folder for each transport.
TRANSPORTS = Path("/sys/kernel/debug/sunrpc/rpc_xprt")

#: When samples of the memory are taken: the first cycles fill caches that stay.
CYCLES = (6, 12, 18, 24)


def use(server: Server, mount: Mount, text: str) -> None:
    """A file that the client writes and the server reads, and the other way round."""
    name = f"use-{text}"
    (mount.path / name).write_text(text)
    equal((server.folder / name).read_text(), text, "what the server has")
    Blocks(server, mount.path, 4).read(3)


def until_unused(references: int) -> None:
    """Waits until the connections of the mounts are gone."""
    until(lambda: RPCRDMA.references() == references, f"{references} users of {RPCRDMA.name}")


def transports() -> set[str]:
    """The transports that sunrpc knows, the server's for callbacks among them."""
    return {path.name for path in TRANSPORTS.iterdir()}


def _register(kind: str) -> None:
    @suite.test(f"mounting, a file, and unmounting over {kind}")
    def once(context: Context) -> None:
        server = servers(kind)
        before = RPCRDMA.references()
        mount = Mount(context, server)
        use(server, mount, kind)
        assert RPCRDMA.references() > before, "the mount does not hold the module"
        equal(mount.transport().connect_count, 1, "connections")
        mount.unmount()
        until_unused(before)

    @suite.test(f"three mounts over {kind} share a connection, and the last one closes it")
    def shared(context: Context) -> None:
        server = servers(kind)
        before = RPCRDMA.references()
        mounts = [Mount(context, server, "nosharecache") for _ in range(3)]
        held = RPCRDMA.references()
        for number, mount in enumerate(mounts):
            use(server, mount, f"{kind}-{number}")
        equal({mount.transport().connect_count for mount in mounts}, {1}, "connections")
        for mount in mounts[1:]:
            mount.unmount()
        equal(RPCRDMA.references(), held, f"users of {RPCRDMA.name} with one mount left")
        use(server, mounts[0], f"{kind}-left")
        mounts[0].unmount()
        until_unused(before)

    @suite.test(f"a mount over {kind} with four connections uses them all")
    def many(context: Context) -> None:
        server = servers(kind)
        before = RPCRDMA.references()
        mount = Mount(context, server, "nconnect=4")
        blocks = Blocks(server, mount.path, 32)
        for number in range(blocks.count):
            blocks.read(number)
        sends = [transport.sends for transport in mount.transports()]
        equal(len(sends), 4, "connections")
        assert min(sends) > 0, f"calls of each connection: {sends}"
        mount.unmount()
        until_unused(before)

    @suite.test(f"the module is busy while mounted over {kind}, and can be loaded anew after it")
    def reload(context: Context) -> None:
        RPCRDMA.need()
        server = servers(kind)
        mount = Mount(context, server)
        use(server, mount, "first")
        equal(RPCRDMA.delete(), errno.EWOULDBLOCK, "unloading it while it is mounted")
        use(server, mount, "still")
        mount.unmount()
        server.stop()
        until_unused(0)
        RPCRDMA.reload()
        server.start()
        again = Mount(context, server)
        use(server, again, "again")
        equal(again.transport().connect_count, 1, "connections")
        again.unmount()

    @suite.test(f"no transport over {kind} outlives the module")
    def callbacks(_context: Context) -> None:
        RPCRDMA.need()
        server = servers(kind)
        server.stop()
        until_unused(0)
        before = transports()
        server.start()
        own = Context()
        mount = Mount(own, server)
        use(server, mount, "callbacks")
        assert transports() > before, "a mount without a transport"
        mount.unmount()
        equal(own.clean_up(), [], "what went wrong with it")
        server.stop()
        until_unused(0)
        left = transports()
        # Whatever is left, the next test has a server.
        server.start()
        # Reading what sunrpc says of one that is left is an oops once the module is gone.
        equal(left, before, "transports that are left")


for _kind in ("siw", "rxe"):
    _register(_kind)


@suite.test("mounting, unmounting and reloading leave no memory behind", limit=180)
def flat(_context: Context) -> None:
    RPCRDMA.need()
    server = servers("rxe")

    def cycle(_number: int) -> None:
        own = Context()
        mount = Mount(own, server)
        # One file for all cycles: the server keeps it.
        use(server, mount, "cycle")
        mount.unmount()
        errors = own.clean_up()
        assert not errors, "\n".join(errors)
        server.stop()
        until_unused(0)
        RPCRDMA.reload()
        server.start()

    samples = memory.watch(cycle, CYCLES, modules=COUNTED)
    for line in memory.table(samples, "cycle"):
        diag(line)
    equal(memory.growing(samples), [], "counters that grow")


if __name__ == "__main__":
    suite.run()

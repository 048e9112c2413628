#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends that complete after the reply, or long after it: what they carry stays until then."""

import os
import time
from collections.abc import Callable

from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import until
from nfslib.blocks import Blocks
from nfslib.client import LONG, Mount
from nfslib.load import MAPPED, Load, Parallel, Work
from nfslib.module import RPCRDMA
from nfslib.rig import shared_servers
from nfslib.sends import Send, SendTrace
from nfslib.slots import batch, set_slots
from nfslib.statistics import mapped_pages
from nfslib.suite import Suite

suite = Suite()

servers = shared_servers(suite)

#: Milliseconds that the acknowledgements of Sends take: much longer than the replies.
LATE = 300

#: Slots of a connection here: the client must be able to use them all at once.
SLOTS = 16


def outstanding(sends: list[Send]) -> list[Send]:
    """Signalled Sends that have not completed."""
    left: dict[tuple[int, int], Send] = {}
    for send in sends:
        key = (send.queue, send.context)
        if not send.posted:
            left.pop(key, None)
        elif send.signalled:
            left[key] = send
    return list(left.values())


class Late:
    """A mount whose Sends complete late, with the events of that."""

    def __init__(self, context: Context, slots: int = SLOTS) -> None:
        self.server = servers("rxe")
        self.wire = self.server.wire
        set_slots(context, slots)
        self.mount = Mount(context, self.server, timeo=LONG)
        self.trace = SendTrace(context)
        #: Pages that were mapped when all answers were there, each time, as far as something shows it.
        self.mapped: list[int] = []
        context.defer(self.wire.mend)
        self.wire.delay_acknowledgements(LATE)

    def replied_first(self, action: Callable[[], object]) -> int:
        """How many Sends were outstanding when `action` had all its answers."""
        before = len(self.trace.sends())
        action()
        mapped = mapped_pages()
        late = outstanding(self.trace.sends()[before:])
        until(lambda: not outstanding(self.trace.sends()[before:]), "the Sends to complete", 30)
        if mapped is not None:
            self.mapped.append(mapped)
            until(lambda: mapped_pages() == 0, "the pages to be unmapped", 30)
        return len(late)


@suite.test("a reply that comes before the completion of its Send", limit=90)
def reply_first(context: Context) -> None:
    late = Late(context)
    blocks = Blocks(late.server, late.mount.path, 64)

    def read() -> None:
        Parallel(context, 8, lambda number: blocks.read(number), "read").wait()

    # Twice: the first one has to open the file as well.
    found = [late.replied_first(read) for _ in range(2)]
    diag(f"Sends that completed after all the replies: {found}")
    assert max(found) > 0, "each Send completed before the replies were there"
    late.mount.unmount()


@suite.test("pages of a Send that completes after its reply are not changed on the way", limit=120)
def pages(context: Context) -> None:
    late = Late(context)
    blocks = Blocks(late.server, late.mount.path, 32)
    for generation, length in enumerate(MAPPED, start=1):

        def write(number: int, generation: int = generation, length: int = length) -> None:
            blocks.write(number, generation, length)

        found = late.replied_first(
            lambda write=write: Parallel(context, 32, write, "write").wait()  # type: ignore[misc]
        )
        diag(f"{length} bytes: {found} Sends completed after all the replies")
        blocks.check(generation, length)
    with_pages = [send for send in late.trace.sends() if send.posted and send.sges > 2]
    assert len(with_pages) >= 32, f"only {len(with_pages)} Sends had pages"
    diag(f"pages that were still mapped after all the replies: {late.mapped}")
    assert not late.mapped or max(late.mapped) > 0, "no page stayed mapped until its Send completed"
    late.mount.unmount()


@suite.test("packets that are lost and sent again, with pages in the Sends", limit=120)
def lost(context: Context) -> None:
    server = servers("rxe")
    mount = Mount(context, server)
    context.defer(server.wire.mend)
    server.wire.delay(5, "loss", "2%")
    # Long data is only read: once, rxe warned in rxe_completer(), which runs at the end that sends
    # RDMA Read requests, and that is a server to which long data is written.
    works = [
        Work(MAPPED, direct=True, size=16384, writes=8),
        Work(direct=True, size=262144, writes=0),
    ]
    load = Load(context, mount.path, server.folder, works * 2, operations=25, seed=11)
    done = load.wait(110)
    diag(f"{done} operations, {mount.transport().connect_count} connections")
    server.wire.mend()
    mount.unmount()


@suite.test("unmounting while Sends are outstanding gives everything back", limit=90)
def unmount(context: Context) -> None:
    server = servers("rxe")
    before = RPCRDMA.references()
    late = Late(context)
    blocks = Blocks(late.server, late.mount.path, 32)
    Parallel(context, 16, lambda number: blocks.write(number, 1, 3000), "write").wait()
    left = len(outstanding(late.trace.sends()))
    late.mount.unmount()
    equal(mapped_pages() or 0, 0, "pages that are mapped for Sends")
    diag(f"{left} Sends were outstanding just before")
    until(lambda: RPCRDMA.references() == before, "the connection to be gone", 30)
    late.wire.mend()
    again = Mount(context, server)
    Blocks(server, again.path, 4, "again").read(1)
    again.unmount()
    until(lambda: RPCRDMA.references() == before, "the second connection to be gone", 30)


#: Calls that the slots take at once then: a connection has one Send context more than slots, and
#: those of Sends that have completed and were not reported, at most a batch, are not free.
AT_ONCE = SLOTS + 1 - batch(SLOTS)


def _unswept(count: int) -> None:
    @suite.test(
        f"after {count} calls and a rest, {SLOTS} slots take {AT_ONCE} calls at once", limit=120
    )
    def rested(context: Context) -> None:
        server = servers("rxe")
        set_slots(context, SLOTS)
        mount = Mount(context, server, "noac", timeo=LONG)
        blocks = Blocks(server, mount.path, 2 * SLOTS)
        files = [os.open(blocks.path, os.O_RDONLY | os.O_DIRECT) for _ in range(2)]
        blocks.read(0)
        trace = SendTrace(context)
        for _ in range(count):
            os.fstat(files[0])
        # They have all completed, but the last ones are not signalled: nobody has seen it.
        time.sleep(1)
        calls = sum(send.posted for send in trace.sends())
        context.defer(server.wire.mend)
        server.wire.cut()
        parallel = Parallel(context, SLOTS, blocks.read, "read")

        def posted() -> int:
            return sum(send.posted for send in trace.sends()) - calls

        # No reply comes: all of them must be on their way before the first one has ended.
        until(lambda: posted() >= AT_ONCE, f"{AT_ONCE} Sends without a reply", 20)
        equal(parallel.done(), False, "whether the reads have ended")
        server.wire.mend()
        parallel.wait()
        for file in files:
            os.close(file)
        mount.unmount()


for _count in (1, 5):
    _unswept(_count)


if __name__ == "__main__":
    suite.run()

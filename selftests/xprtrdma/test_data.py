#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Data that was written is what is read, by the client and at the server, however it travels."""

from ksftlib.ktap import Context, diag
from nfslib.load import COPIED, KIB, LARGE, MAPPED, Load, Work
from nfslib.rig import shared_rigs
from nfslib.sends import SendTrace, Summary
from nfslib.suite import Suite

suite = Suite()

#: Processes at once, each with a file of its own, and what each of them does.
PROCESSES = 4
OPERATIONS = 60

rig = shared_rigs(suite)


def move(context: Context, kind: str, work: Work, operations: int = OPERATIONS) -> None:
    """Reads and writes, and checks."""
    here = rig(kind)
    before = here.mount.transport()
    load = Load(context, here.mount.path, here.server.folder, [work] * PROCESSES, operations,
                seed=len(list(here.server.folder.iterdir())))  # fmt: skip
    done = load.wait(100)
    after = here.mount.transport()
    diag(
        f"{done} operations, {after.sends - before.sends} calls, "
        f"{after.request_bytes - before.request_bytes} bytes in chunks of calls, "
        f"{after.reply_bytes - before.reply_bytes} in chunks of replies, "
        f"{after.pullup_copy - before.pullup_copy} copied into Sends"
    )


def _register(kind: str) -> None:
    @suite.test(f"4 KiB to 1 MiB over {kind}, O_DIRECT", limit=110)
    def direct(context: Context) -> None:
        move(context, kind, Work(LARGE, direct=True))

    @suite.test(f"4 KiB to 1 MiB over {kind}, buffered", limit=110)
    def buffered(context: Context) -> None:
        move(context, kind, Work(LARGE, forget=True))

    @suite.test(f"lengths and offsets without any alignment over {kind}, O_DIRECT", limit=110)
    def odd(context: Context) -> None:
        move(context, kind, Work((1, 511, 4095, 4097, 65537, 300001), direct=True))

    @suite.test(f"what is copied into the Send over {kind}, O_SYNC", limit=110)
    def copied(context: Context) -> None:
        before = rig(kind).mount.transport().pullup_copy
        move(context, kind, Work(COPIED, sync=True, size=64 * KIB, writes=9))
        assert rig(kind).mount.transport().pullup_copy > before, "no write was copied"

    @suite.test(f"pages that are a part of the Send over {kind} are signalled", limit=110)
    def mapped(context: Context) -> None:
        rig(kind)
        trace = SendTrace(context)
        move(context, kind, Work(MAPPED, direct=True, size=64 * KIB, writes=9))
        sends = [send for send in trace.sends() if send.posted]
        diag(str(Summary(trace.sends())))
        with_pages = [send for send in sends if send.sges > 2]
        diag(f"{len(with_pages)} Sends have pages")
        assert len(with_pages) >= PROCESSES * OPERATIONS // 2, "hardly any Send has pages"
        unsignalled = [send for send in with_pages if not send.signalled]
        # Their pages must be given back soon: the completion of each says when.
        assert not unsignalled, f"{len(unsignalled)} Sends with pages are not signalled"


for _kind in ("siw", "rxe"):
    _register(_kind)


if __name__ == "__main__":
    suite.run()

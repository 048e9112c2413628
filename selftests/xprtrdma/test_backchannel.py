#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Calls of the server to the client: their replies are Sends of the same ring."""

import os
from functools import partial

from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import Task, until
from nfslib.client import LONG, Mount
from nfslib.load import Load, Work
from nfslib.rig import shared_servers
from nfslib.sends import SendTrace, Summary
from nfslib.server import Server
from nfslib.slots import batch, set_slots, slots
from nfslib.suite import Suite

suite = Suite()

servers = shared_servers(suite)

#: Files whose delegations are called back.
FILES = 40

_CALL, _REPLY = "xprtrdma_cb_call", "xprtrdma_cb_reply"


class Delegated:
    """Files that the client has open for reading, with a delegation if the server gives one."""

    def __init__(self, context: Context, server: Server, mount: Mount, name: str) -> None:
        self._names = [f"{name}-{number}" for number in range(FILES)]
        self._server = server
        for each in self._names:
            (server.folder / each).write_bytes(each.encode())
        self._files = []
        for each in self._names:
            descriptor = os.open(mount.path / each, os.O_RDONLY)
            context.defer(partial(os.close, descriptor))
            self._files.append(descriptor)
            equal(os.pread(descriptor, 100, 0), each.encode(), f"content of {each}")

    def recall(self, number: int) -> None:
        """Opens one of them for writing at the server, which waits until the delegation is back."""
        path = self._server.folder / self._names[number]
        with path.open("r+b") as file:
            file.write(f"new {self._names[number]}".encode())

    def check(self) -> None:
        """The client sees what was written at the server."""
        for name, descriptor in zip(self._names, self._files):
            until(
                partial(self._sees, descriptor, f"new {name}".encode()),
                f"the new content of {name}",
            )

    @staticmethod
    def _sees(descriptor: int, expected: bytes) -> bool:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(descriptor, 100, 0) == expected


def recall_all(context: Context, kind: str, count: "int | None" = None) -> None:
    """Recalls, four at a time, while other calls go the other way."""
    server = servers(kind)
    if count:
        set_slots(context, count)
    mount = Mount(context, server, "noac", timeo=LONG)
    trace = SendTrace(context, _CALL, _REPLY)
    files = Delegated(context, server, mount, f"{kind}-{count}")
    work = Work((3000, 4096, 65536), direct=True, size=131072)
    load = Load(context, mount.path, server.folder, [work] * 3, seed=count or 999)
    load.progress()
    tasks = [Task(context, partial(_recall_some, files, start), "recalls") for start in range(4)]
    for task in tasks:
        task.wait(90)
    load.progress()
    done = load.stop()

    def seen(which: str) -> int:
        return sum(name == which for _, name, _ in trace.raw())

    # The server goes on when the client has returned a delegation, perhaps before the reply.
    until(lambda: seen(_REPLY) == seen(_CALL), "replies to all calls of the server", 30)
    calls = seen(_CALL)
    diag(f"{calls} calls of the server, {done} operations meanwhile")
    summary = Summary(trace.sends())
    diag(str(summary))
    # The server need not give a delegation for each open.
    assert calls >= FILES // 4, f"only {calls} calls of the server for {FILES} open files"
    size = batch(count or slots())
    assert summary.longest_gap <= size, (
        f"{summary.longest_gap} work requests without a signalled Send, {size} are a batch"
    )
    files.check()
    equal(mount.transport().connect_count, 1, "connections")


def _recall_some(files: Delegated, start: int) -> None:
    for number in range(start, FILES, 4):
        files.recall(number)


def _register(kind: str) -> None:
    @suite.test(f"delegations over {kind} are called back under load", limit=150)
    def recalls(context: Context) -> None:
        recall_all(context, kind)

    @suite.test(f"the same over {kind} with four slots", limit=150)
    def few(context: Context) -> None:
        recall_all(context, kind, 4)


for _kind in ("siw", "rxe"):
    _register(_kind)


if __name__ == "__main__":
    suite.run()

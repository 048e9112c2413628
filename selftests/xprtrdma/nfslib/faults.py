# SPDX-License-Identifier: GPL-2.0
"""Completions of Sends that a faulty device would report (rpcrdma_bad_completion)."""

from functools import partial

from ksftlib.files import read, write
from ksftlib.ktap import Context
from ksftlib.module import TestModule
from ksftlib.wait import until

_MODULE = TestModule("rpcrdma_bad_completion", "SUNRPC_XPRT_RDMA_BAD_COMPLETION")


class BadCompletions:
    """The module that makes them, loaded until the end of the test."""

    def __init__(self, context: Context) -> None:
        self._context = context
        _MODULE.insert()
        context.defer(self.unload)

    @staticmethod
    def unload() -> None:
        """Takes the module out, if it is there."""
        _MODULE.remove()

    def made(self) -> int:
        """How many there were since the module was loaded."""
        return int(read(_MODULE.parameters / "made"))

    def ordered(self) -> str:
        """What is to come, or ``none``."""
        return read(_MODULE.parameters / "order").strip()

    def write(self, text: str) -> None:
        """Orders something."""
        write(_MODULE.parameters / "order", text)

    def make(self, kind: str, after: int = 0, times: int = 1, seconds: float = 30.0) -> None:
        """Waits until `kind` was reported so many times in a row, after so many good ones."""
        before = self.made()
        self._context.on_failure(lambda: f"ordered {self.ordered()}, made {self.made() - before}")
        self.write(f"{kind} {after} {times}")
        done = partial(self._is_done, before + times)
        until(done, f"{times} times {kind} after {after} completions", seconds)

    def _is_done(self, number: int) -> bool:
        return self.ordered() == "none" and self.made() == number

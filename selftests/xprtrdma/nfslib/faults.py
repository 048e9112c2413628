# SPDX-License-Identifier: GPL-2.0
"""Completions of Sends that a faulty device would report (rpcrdma_bad_completion)."""

import os
import subprocess
from functools import partial

from ksftlib.files import read, write
from ksftlib.ktap import PATIENCE, Context, Skip
from ksftlib.module import Module
from ksftlib.wait import until

_MODULE = Module("rpcrdma_bad_completion")


class BadCompletions:
    """The module that makes them, loaded until the end of the test."""

    def __init__(self, context: Context) -> None:
        self._context = context
        folder = os.environ.get("XPRTRDMA_TEST_MODULES")
        load = ["insmod", f"{folder}/{_MODULE.name}.ko"] if folder else ["modprobe", _MODULE.name]
        done = self._run(*load)
        if done.returncode and not folder:
            raise Skip(
                f"{_MODULE.name} is not installed (CONFIG_SUNRPC_XPRT_RDMA_BAD_COMPLETION)"
            )
        assert done.returncode == 0, done.stderr
        context.defer(self.unload)

    @staticmethod
    def _run(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, check=False, text=True, capture_output=True, timeout=60 * PATIENCE
        )

    def unload(self) -> None:
        """Takes the module out, if it is there."""
        if _MODULE.loaded():
            done = self._run("rmmod", _MODULE.name)
            assert done.returncode == 0, done.stderr

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

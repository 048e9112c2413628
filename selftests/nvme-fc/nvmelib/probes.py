# SPDX-License-Identifier: GPL-2.0
"""Calls of functions of the kernel: how many, and with which arguments (kprobe events)."""

import platform
import re
from functools import partial
from pathlib import Path

from ksftlib.files import write
from ksftlib.ktap import Context, Skip
from ksftlib.trace import Trace

_TRACING = Path("/sys/kernel/tracing")
_EVENTS = _TRACING / "kprobe_events"
_PROFILE = _TRACING / "kprobe_profile"

_GROUP = "ksft_nvme_fc"

#: Where arguments are: the kernel knows itself only for functions that are loaded already.
_REGISTERS = {
    "x86_64": ("%di", "%si", "%dx", "%cx"),
    "aarch64": ("%x0", "%x1", "%x2", "%x3"),
}

_ARGUMENT = re.compile(r"\ba(\d)=(0x[0-9a-f]+)")


class Probes:
    """Counts calls of functions from now on until the end of the test.

    A function is named with its module, ``nvme_fc:nvme_fc_unregister_remoteport``: then it does not
    matter when the module is loaded, or loaded anew.
    """

    def __init__(self, context: Context, *functions: str, arguments: int = 1) -> None:
        if not _EVENTS.exists():
            raise Skip("the kernel has no CONFIG_KPROBE_EVENTS, or tracefs is not mounted")
        self._functions = functions
        registers = _REGISTERS.get(platform.machine(), ())[:arguments]
        fetch = " ".join(f"a{number}={name}:x64" for number, name in enumerate(registers, start=1))
        for function in functions:
            name = self._name(function)
            # Not opened for appending: the file does not know where its end is.
            write(_EVENTS, f"p:{_GROUP}/{name} {function} {fetch}\n")
            context.defer(partial(self._remove, name))
        self._trace = Trace(context, _GROUP, *map(self._name, functions))
        self._before = {function: 0 for function in functions}
        self.restart()

    @staticmethod
    def _name(function: str) -> str:
        return function.rpartition(":")[2]

    @staticmethod
    def _remove(name: str) -> None:
        write(_EVENTS, f"-:{_GROUP}/{name}\n")

    def _total(self, function: str) -> int:
        for line in _PROFILE.read_text(encoding="ascii").splitlines():
            name, hits, misses = line.split()
            if name == self._name(function):
                assert misses == "0", f"{misses} calls of {name} were missed"
                return int(hits)
        raise AssertionError(f"there is no probe of {function}")

    def restart(self) -> None:
        """Counts from here on."""
        self._before = {function: self._total(function) for function in self._functions}

    def count(self, function: str) -> int:
        """Calls of a function."""
        return self._total(function) - self._before[function]

    def counts(self) -> dict[str, int]:
        """Calls of each function, by its name."""
        return {self._name(function): self.count(function) for function in self._functions}

    def calls(self, function: str) -> list[tuple[int, ...]]:
        """The arguments of each call that the trace buffer still has, oldest first."""
        return [
            tuple(int(value, 16) for _, value in _ARGUMENT.findall(text))
            for name, text in self._trace.events()
            if name == self._name(function)
        ]

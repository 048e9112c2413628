# SPDX-License-Identifier: GPL-2.0
"""Connections that the kernel closes on request (CONFIG_FAIL_SUNRPC)."""

from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context, Skip

_FOLDER = Path("/sys/kernel/debug/fail_sunrpc")


class Disconnects:
    """Closes a connection after each `interval` calls, `count` times: the client's or the server's end."""

    def __init__(
        self, context: Context, count: int, interval: int, end: str = "client"
    ) -> None:
        if not _FOLDER.is_dir():
            raise Skip("the kernel has no CONFIG_FAIL_SUNRPC, or debugfs is not mounted")
        self._count = count
        self._set("times", 0)
        context.defer(self._off)
        settings = {
            "ignore-client-disconnect": "N" if end == "client" else "Y",
            "ignore-server-disconnect": "N" if end == "server" else "Y",
            "ignore-cache-wait": "Y", "verbose": "0", "space": "0", "task-filter": "N",
            "interval": str(interval), "probability": "100", "times": str(count),
        }  # fmt: skip
        for name, value in settings.items():
            write(_FOLDER / name, value)

    @staticmethod
    def _set(name: str, value: int) -> None:
        write(_FOLDER / name, str(value))

    def _off(self) -> None:
        self._set("times", 0)
        self._set("probability", 0)

    def done(self) -> int:
        """How many there have been."""
        return self._count - int(read(_FOLDER / "times"))

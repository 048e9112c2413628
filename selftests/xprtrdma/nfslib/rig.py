# SPDX-License-Identifier: GPL-2.0
"""Wire, server and a mount at once."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ksftlib.ktap import Context, Suite

from .client import TIMEO, Mount
from .server import Server
from .wire import Wire

T = TypeVar("T")


class Rig:
    """What most tests work on. With `options` of the mount beside those that it always has."""

    def __init__(self, context: Context, kind: str, *options: str, timeo: int = TIMEO) -> None:
        self.wire = Wire(context, kind)
        self.server = Server(context, self.wire)
        self.mount = Mount(context, self.server, *options, timeo=timeo)
        context.on_failure(lambda: f"transports: {self.mount.transports()}")


class Shared(Generic[T]):
    """What tests of a suite share, one of its kind at a time: the last that was asked for."""

    def __init__(self, suite: Suite, make: Callable[[Context, str], T]) -> None:
        self._make = make
        self._kind = ""
        self._made: "T | None" = None
        self._context = Context()
        suite.shared.defer(self.end)

    def __call__(self, kind: str) -> T:
        """The one over this kind of device."""
        if self._made is None or self._kind != kind:
            self.end()
            self._kind = kind
            self._made = self._make(self._context, kind)
        return self._made

    def end(self) -> None:
        """Undoes it."""
        self._made = None
        errors = self._context.clean_up()
        assert not errors, "\n".join(errors)


def shared_rigs(suite: Suite, *options: str) -> "Shared[Rig]":
    """Rigs with a mount that has these options."""
    return Shared(suite, lambda context, kind: Rig(context, kind, *options))


def shared_servers(suite: Suite) -> "Shared[Server]":
    """Servers without a mount."""
    return Shared(suite, lambda context, kind: Server(context, Wire(context, kind)))

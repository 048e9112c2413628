# SPDX-License-Identifier: GPL-2.0
"""Wire, server and a mount at once."""

from ksftlib.ktap import Context, Suite

from .client import TIMEO, Mount
from .server import Server
from .wire import Wire


class Rig:
    """What most tests work on. With `options` of the mount beside those that it always has."""

    def __init__(self, context: Context, kind: str, *options: str, timeo: int = TIMEO) -> None:
        self.wire = Wire(context, kind)
        self.server = Server(context, self.wire)
        self.mount = Mount(context, self.server, *options, timeo=timeo)
        context.on_failure(lambda: f"transports: {self.mount.transports()}")


class Rigs:
    """Rigs that several tests of a suite share, one at a time: the last one that was asked for."""

    def __init__(self, suite: Suite, *options: str) -> None:
        self._options = options
        self._kind = ""
        self._rig: "Rig | None" = None
        self._context = Context()
        suite.shared.defer(self._end)

    def __call__(self, kind: str) -> Rig:
        """The one over this kind of device."""
        if self._rig is None or self._kind != kind:
            self._end()
            self._kind = kind
            self._rig = Rig(self._context, kind, *self._options)
        return self._rig

    def _end(self) -> None:
        self._rig = None
        errors = self._context.clean_up()
        assert not errors, "\n".join(errors)

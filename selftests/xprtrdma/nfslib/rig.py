# SPDX-License-Identifier: GPL-2.0
"""Wire, server and a mount at once."""

from ksftlib.ktap import Context

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

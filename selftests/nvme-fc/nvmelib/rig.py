# SPDX-License-Identifier: GPL-2.0
"""Fabric, target and a connected host at once."""

from pathlib import Path

from ksftlib.ktap import Context

from .fcloop import Fcloop
from .host import USUAL, Controller, Options, connect
from .target import NullBlk, Target


class Rig:
    """What most tests work on: a fabric, a target with a disk of memory, and a host."""

    def __init__(
        self, context: Context, options: Options = USUAL, fabric: "Fcloop | None" = None
    ) -> None:
        self._context = context
        # Last, when nothing uses it: its removal would end what uses it with errors.
        self.disk_behind = NullBlk(context)
        self.fabric = fabric or Fcloop(context)
        self.target = Target(context, self.fabric.target.address, self.disk_behind.path)
        self.controller = self.connect(options)
        context.on_failure(lambda: f"{self.controller.name} is {self.controller.state()!r}")

    def connect(self, options: Options = USUAL) -> Controller:
        """Connects the host."""
        fabric = self.fabric
        return connect(
            self._context, self.target.nqn, fabric.target.address, fabric.local.address, options
        )

    def disk(self) -> Path:
        """The host's disk."""
        return self.controller.disk()

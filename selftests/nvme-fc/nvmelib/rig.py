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

    @staticmethod
    def connected(
        context: Context, fabric: Fcloop, target: Target, options: Options = USUAL
    ) -> Controller:
        """A host that is connected with a target."""
        address = fabric.target.address
        return connect(context, target.nqn, address, fabric.local.address, options)

    def connect(self, options: Options = USUAL) -> Controller:
        """Connects the host again."""
        return self.connected(self._context, self.fabric, self.target, options)

    def disk(self) -> Path:
        """The host's disk."""
        return self.controller.disk()

# SPDX-License-Identifier: GPL-2.0
"""Ports that are deleted and come back, and what the LLDD is told of it."""

from ksftlib.ktap import Context, equal
from ksftlib.wait import until

from .fcloop import Fcloop
from .probes import Probes
from .rig import Rig

# What a transport is asked for, and what it answers, for each kind of port.
#: That of the host's remote port.
REMOTE_PORT = ("nvme_fc:nvme_fc_unregister_remoteport", "{fcloop}:fcloop_remoteport_delete")
_LOCAL = ("nvme_fc:nvme_fc_unregister_localport", "{fcloop}:fcloop_localport_delete")
#: That of the target's port.
TARGET_PORT = ("nvmet_fc:nvmet_fc_unregister_targetport", "{fcloop}:fcloop_targetport_delete")


class Callbacks:
    """The calls of one kind of port: requests and answers."""

    def __init__(self, context: Context, fabric: Fcloop, functions: tuple[str, str]) -> None:
        module = fabric.module.name
        self._functions = [name.format(fcloop=module) for name in functions]
        self._probes = Probes(context, *self._functions)
        context.on_failure(lambda: str(self._probes.counts()))

    def unregistered(self) -> int:
        """Requests."""
        return self._probes.count(self._functions[0])

    def deleted(self) -> int:
        """Answers."""
        return self._probes.count(self._functions[1])

    def __str__(self) -> str:
        return f"{self.unregistered()} unregistered, {self.deleted()} callbacks"

    def wait(self, number: int) -> None:
        """Waits for an answer: the port may be registered again only then."""
        until(lambda: self.deleted() >= number, f"callback {number}", 60)

    def check(self, number: int) -> None:
        """Fails the test unless each of so many requests has had one answer."""
        equal((self.unregistered(), self.deleted()), (number, number), "unregistered, callbacks")


class Bounces:
    """A remote port that is deleted and comes back."""

    def __init__(self, context: Context, rig: Rig) -> None:
        self._rig = rig
        self._callbacks = Callbacks(context, rig.fabric, REMOTE_PORT)
        self.done = 0

    def __str__(self) -> str:
        return f"{self.done} bounces, {self._callbacks}"

    def bounce(self, live: bool = True) -> None:
        """Once; with `live` the controller is live again at the end."""
        self._rig.fabric.remote.delete()
        self.done += 1
        self._callbacks.wait(self.done)
        self._rig.fabric.remote.add()
        if live:
            self._rig.controller.wait_live()

    def check(self) -> None:
        """Fails the test unless there was one callback for each."""
        self._callbacks.check(self.done)


class LocalBounces(Bounces):
    """All three ports: fcloop keeps the local one until nothing is left of the other two."""

    def __init__(self, context: Context, rig: Rig) -> None:
        super().__init__(context, rig)
        self._others = [
            Callbacks(context, rig.fabric, functions) for functions in (_LOCAL, TARGET_PORT)
        ]

    def __str__(self) -> str:
        local, target = self._others
        return f"{super().__str__()}; of the local port {local}, of the target's {target}"

    def bounce(self, live: bool = True) -> None:
        """Once."""
        fabric = self._rig.fabric
        for port in (fabric.remote, fabric.local, fabric.target):
            port.delete()
        self.done += 1
        for callbacks in (self._callbacks, *self._others):
            callbacks.wait(self.done)
        fabric.add_ports()
        if live:
            self._rig.controller.wait_live()

    def check(self) -> None:
        """Fails the test unless there was one callback for each port."""
        super().check()
        for callbacks in self._others:
            callbacks.check(self.done)

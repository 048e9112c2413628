# SPDX-License-Identifier: GPL-2.0
"""The kernel's fcloop: ports of host and target that come and go on request."""

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

from ksftlib.files import write
from ksftlib.ktap import Context
from ksftlib.module import Module
from ksftlib.wait import Task

from .address import Address, host_address, target_address
from .module import FCLOOP, LATE_FCLOOP, load_for_tests, unload

_CONTROL = Path("/sys/class/fcloop/ctl")

#: FC_PORT_ROLE_NVME_TARGET and FC_PORT_ROLE_NVME_DISCOVERY.
_ROLES = 0x60

#: Seconds for a port to come or go.
_LIMIT = 30.0


class _Port(ABC):
    """A port, as long as the driver has it."""

    #: How the driver's files name it.
    kind = ""

    def __init__(self, context: Context, address: Address) -> None:
        self._context = context
        self.address = address
        self.present = False
        context.defer(self._clean_up)
        self.add()

    @abstractmethod
    def _words(self) -> str:
        """What it is made of."""

    def _tell(self, what: str, words: str) -> None:
        # It may block in the kernel.
        call = partial(write, _CONTROL / f"{what}_{self.kind}_port", words)
        own = Context()
        try:
            Task(own, call, f"{what}_{self.kind}_port").wait(_LIMIT)
        finally:
            own.clean_up()

    def add(self) -> None:
        """It is there."""
        self._tell("add", self._words())
        self.present = True

    def delete(self) -> None:
        """It is gone, as far as the driver is concerned: the transport may still know it."""
        self.present = False
        self._tell("del", self.address.words())

    def _clean_up(self) -> None:
        if self.present:
            self.delete()


class LocalPort(_Port):
    """A port of the host."""

    kind = "local"

    def _words(self) -> str:
        return self.address.words()


class TargetPort(_Port):
    """A port of the target."""

    kind = "target"

    def _words(self) -> str:
        return self.address.words()


class RemotePort(_Port):
    """What a port of the host sees of one of the target."""

    kind = "remote"

    def __init__(self, context: Context, address: Address, local: Address) -> None:
        self._local = local
        super().__init__(context, address)

    def _words(self) -> str:
        return f"{self.address.words()},{self._local.words('lp')},roles={_ROLES:#x}"


class Fcloop:
    """The driver, loaded until the end of the test, and a port of each kind that see each other."""

    def __init__(self, context: Context, module: Module = FCLOOP, *parameters: str) -> None:
        self._context = context
        self.module = module
        self._parameters = parameters
        self.load()
        context.defer(self.unload)
        self.local = LocalPort(context, host_address())
        self.remote = RemotePort(context, target_address(), self.local.address)
        self.target = TargetPort(context, target_address())

    def load(self) -> None:
        """Loads the driver, without a port."""
        if self.module is FCLOOP:
            if not self.module.built_in():
                self.module.need()
                self.module.load(*self._parameters)
        else:
            load_for_tests(self.module, *self._parameters)

    def unload(self) -> None:
        """Unloads it, if it is there. It deletes the ports that are left itself."""
        if self.module.loaded() and not self.module.built_in():
            for port in (self.local, self.remote, self.target):
                port.present = False
        unload(self.module)

    def ports(self) -> "tuple[LocalPort, RemotePort, TargetPort]":
        """All of them, in the order in which they come."""
        return self.local, self.remote, self.target


def late_fcloop(context: Context, **parameters: int) -> Fcloop:
    """The driver with late completions; see drivers/nvme/fcloop_late."""
    words = [f"{name}={value}" for name, value in parameters.items()]
    return Fcloop(context, LATE_FCLOOP, *words)

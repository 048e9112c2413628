# SPDX-License-Identifier: GPL-2.0
"""The kernel's fcloop: ports of host and target that come and go on request."""

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context, Skip
from ksftlib.module import Module, TestModule
from ksftlib.wait import Task, until

from .address import Address, host_address, target_address
from .module import FCLOOP, LATE_FCLOOP, unload

_CONTROL = Path("/sys/class/fcloop/ctl")

#: FC_PORT_ROLE_NVME_TARGET and FC_PORT_ROLE_NVME_DISCOVERY.
_ROLES = 0x60

#: Seconds for a port to come or go.
_LIMIT = 30.0


#: What the driver with late completions counts.
_COUNTERS = (
    "late", "outstanding", "deferred", "promoted", "refused", "aborted_ls", "stalled", "wrong",
)  # fmt: skip


class _Port(ABC):
    """A port, as long as the driver has it."""

    #: How the driver's files name it.
    kind = ""

    #: Whether this process gives the orders itself: quicker, but it hangs if the driver does.
    direct = False

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
        if self.direct:
            call()
            return
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
        self._ports: list[_Port] = []
        self.load()
        context.defer(self.unload)
        self.local = LocalPort(context, host_address())
        self._ports.append(self.local)
        self.remote, self.target = self.another(1)

    def another(self, number: int) -> tuple[RemotePort, TargetPort]:
        """A target's port with this number, that the host's port sees; there is one with 1."""
        address = target_address(number)
        remote = RemotePort(self._context, address, self.local.address)
        target = TargetPort(self._context, address)
        self._ports += (remote, target)
        return remote, target

    def load(self) -> None:
        """Loads the driver, without a port."""
        if isinstance(self.module, TestModule):
            self.module.insert(60.0, *self._parameters)
        elif not self.module.built_in():
            self.module.need()
            self.module.load(*self._parameters)

    def unload(self) -> None:
        """Unloads it, if it is there. It deletes the ports that are left itself."""
        if not self.module.built_in():
            for port in self._ports:
                port.present = False
            unload(self.module)

    def add_ports(self) -> None:
        """All of them are there again."""
        for port in self._ports:
            port.add()


class LateFcloop(Fcloop):
    """The driver with late completions; see drivers/nvme/fcloop_late."""

    def __init__(self, context: Context, **parameters: int) -> None:
        words = [f"{name}={value}" for name, value in parameters.items()]
        super().__init__(context, LATE_FCLOOP, *words)
        context.on_failure(lambda: str(self.counts()))

    def set(self, **parameters: int) -> None:
        """Changes parameters from now on."""
        for name, value in parameters.items():
            write(self.module.parameters / name, str(value))

    def count(self, name: str) -> int:
        """One of its counters."""
        return int(read(self.module.parameters / name))

    def counts(self) -> dict[str, int]:
        """All of them."""
        return {name: self.count(name) for name in _COUNTERS}

    def wait_complete(self, seconds: float = 30.0) -> None:
        """Waits until the target has been told of all that it has sent."""
        until(lambda: self.count("outstanding") == 0, "the last late completion", seconds)


def answering(context: Context) -> Fcloop:
    """The driver for ports that come back while controllers wait for them.

    While a port is being registered, fcloop knows nobody to give an answer of the target to: that to
    a controller that connects at once may be lost, and the controller waits for it without end. The
    driver with late completions, of which there are none here, gives it to whoever has asked; it may
    not be installed.
    """
    try:
        return LateFcloop(context)
    except Skip:
        return Fcloop(context)

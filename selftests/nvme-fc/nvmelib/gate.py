# SPDX-License-Identifier: GPL-2.0
"""The host's low-level driver for tests: ports that come and go as it is ordered.

``drivers/nvme/host/test_lldd/order.rs`` has the orders.
"""

import contextlib
import errno
import os
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ksftlib import impl, udev
from ksftlib.files import read
from ksftlib.ktap import PACE, Context, equal
from ksftlib.module import Module, TestModule
from ksftlib.wait import Task, until

from .host import Controller, controllers

#: The Rust crate that tells whose module is loaded.
CRATE = "fcgate"

_FOLDER = Path("/sys/kernel/debug/nvme_fc_test_lldd")
_HOST = "0f01fb42-9f7f-4856-b0b3-51e60b8de349"

#: Milliseconds by which a call of the driver widens what others can come in between.
WIDE = int(60 * PACE)

#: Seconds for an order: it may have to wait for a callback.
_LIMIT = 60.0


class Suite(impl.Suite):
    """Tests of the host alone."""

    def __init__(self) -> None:
        super().__init__(CRATE)

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        return "" if Module("nvme_fc").loaded() else "nvme_fc is not loaded"

    def prepare(self) -> None:
        """Nothing but the tests connects, or opens what there is."""
        udev.leave_alone(self.shared, "*/nvme*", "*/fc_udev_device*")


class Counts(NamedTuple):
    """How often a port was unregistered, called back, and registered before that."""

    unregistrations: int
    deletions: int
    kept: int


class Port:
    """A port of the driver, by its name in the orders."""

    def __init__(self, lldd: "Lldd", name: str) -> None:
        self.lldd = lldd
        self.name = name

    def order(self, words: str) -> None:
        """Has something done with it; OSError if that fails."""
        self.lldd.order(f"{self.name} {words}")

    def task(self, words: str) -> Task:
        """The same in a process of its own."""
        return self.lldd.task(f"{self.name} {words}")

    def register(self, parameter: str = "") -> None:
        """Registers it, with a template or with a time."""
        self.order(f"register {parameter}")

    def unregister(self) -> None:
        """Unregisters it."""
        self.order("unregister")

    def values(self) -> dict[str, int]:
        """What the driver knows of it."""
        return self.lldd.ports()[self.name]

    def counts(self) -> Counts:
        """Its callbacks."""
        values = self.values()
        return Counts(values["unregistrations"], values["deletions"], values["kept"])

    def wait(self, key: str, value: int = 1) -> None:
        """Waits for a value to be so large."""
        until(lambda: self.values()[key] >= value, f"{value} {key} of {self.name}", 30)

    def wait_called_back(self) -> None:
        """Waits until no callback is owed, and looks whether a second one comes."""
        until(lambda: not self.values()["owed"], f"the callback of {self.name}", 30)
        time.sleep(2 * WIDE / 1000)


class Lldd:
    """The driver, until the end of the test."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._module = TestModule("nvme_fc_test_lldd", "NVME_FC_TEST_LLDD")
        self._before = set(controllers())
        self._module.insert()
        context.defer(self._remove)
        context.defer(self._reset)
        context.on_failure(lambda: read(_FOLDER / "state"))

    def _reset(self) -> None:
        # Whatever was held ends; whoever waits for it goes on.
        self.order("reset")
        # A controller that was never live cannot be disconnected. All go with a port that is not
        # waited for.
        left = self.ports()
        lost = self._controllers()
        for name in left:
            port = Port(self, name)
            if name.startswith("local"):
                # Its objects may have less memory since a test; and if they are not freed in the
                # end, this tells.
                port.register("less")
            elif lost:
                port.register()
                port.order("dev-loss 0")
                port.unregister()
        until(lambda: not self._controllers(), "all controllers to be gone")
        self.order("reset")
        for name in left:
            if name.startswith("local"):
                until(partial(self._is_freed, name), f"{name} to be freed")

    def _remove(self) -> None:
        # C calls back while the driver is being called: that takes its time, and goes on after it.
        until(self._is_unused, f"{self._module.name} to be unused")
        self._module.remove()

    def _is_unused(self) -> bool:
        # Whoever looks gives the references back that are not needed any more.
        self.ports()
        return not self._module.references()

    def _is_freed(self, name: str) -> bool:
        # What a controller or a request kept is freed when that is gone, a little later; until then
        # the port has less memory.
        port = Port(self, name)
        try:
            port.register()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EINVAL):
                raise
            return False
        port.unregister()
        return True

    def _controllers(self) -> list[str]:
        return [name for name in controllers() if name not in self._before]

    @staticmethod
    def order(text: str) -> None:
        """Has something done; OSError if that fails."""
        descriptor = os.open(_FOLDER / "orders", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def task(self, text: str) -> Task:
        """The same in a process of its own."""
        return Task(self.context, lambda: self.order(text), text)

    def sleep(self, function: str, milliseconds: int = WIDE) -> None:
        """From now on a function of the driver takes so long."""
        self.order(f"sleep {function} {milliseconds}")

    @staticmethod
    def _lines() -> list[list[str]]:
        return [line.split() for line in read(_FOLDER / "state").splitlines()]

    def ports(self) -> dict[str, dict[str, int]]:
        """What the driver knows of its ports, by their names."""
        found = {}
        for words in self._lines():
            if words[0] == "fault":
                continue
            values = dict(word.split("=") for word in words if "=" in word)
            name = " ".join(word for word in words if "=" not in word)
            found[name] = {key: int(value) for key, value in values.items()}
        return found

    def check_no_faults(self) -> None:
        """Fails the test if the transport did what it must not do."""
        faults = {words[1]: int(words[2]) for words in self._lines() if words[0] == "fault"}
        equal({name: count for name, count in faults.items() if count}, {}, "faults")

    def local(self, number: int = 0) -> Port:
        """A local port."""
        return Port(self, f"local {number}")

    def remote(self, number: int = 0, local: int = 0) -> Port:
        """A remote port."""
        return Port(self, f"remote {local} {number}")

    def ports_registered(self) -> tuple[Port, Port]:
        """The first local and remote port, registered."""
        local, remote = self.local(), self.remote()
        local.register()
        remote.register()
        return local, remote

    def connecting(self, remote: Port, queues: int = 1, delay: int = 1) -> Task:
        """Connects to the target behind a remote port, in a process of its own."""
        local, number = (int(word) for word in remote.name.split()[1:])
        host_port, port = 0xAA000000 | local, 0xAB000000 | local << 8 | number
        node, name = 0x10000022 << 32, 0x20000022 << 32
        words = [
            "transport=fc", f"traddr=nn-{node | port:#018x}:pn-{name | port:#018x}",
            f"host_traddr=nn-{node | host_port:#018x}:pn-{name | host_port:#018x}",
            f"nqn=ksft-gate-{local}-{number}", f"hostid={_HOST}",
            f"hostnqn=nqn.2014-08.org.nvmexpress:uuid:{_HOST}", f"nr_io_queues={queues}",
            f"reconnect_delay={delay}", "ctrl_loss_tmo=-1", "keep_alive_tmo=3600",
        ]  # fmt: skip

        def connect() -> None:
            descriptor = os.open("/dev/nvme-fabrics", os.O_RDWR)
            try:
                os.write(descriptor, ",".join(words).encode())
            finally:
                os.close(descriptor)

        return Task(self.context, connect, f"connecting to {remote.name}")

    def resetting(self, controller: Controller) -> Task:
        """Resets a controller, in a process of its own: it waits for the next association."""

        def reset() -> None:
            # It says so if that fails, which is what some tests want.
            with contextlib.suppress(OSError):
                controller.reset()

        return Task(self.context, reset, f"resetting {controller.name}")

    def new_controller(self, known: "set[str] | None" = None) -> Controller:
        """The controller that is there now, and was not before."""
        found = until(
            lambda: [name for name in self._controllers() if name not in (known or ())],
            "a controller",
        )
        return Controller(found[0])

    def connect(self, remote: Port, queues: int = 1, delay: int = 1) -> Controller:
        """Connects, and waits until the controller is live."""
        known = set(controllers())
        self.connecting(remote, queues, delay).wait(_LIMIT)
        controller = self.new_controller(known)
        controller.wait_live()
        return controller

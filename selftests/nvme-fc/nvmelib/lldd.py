# SPDX-License-Identifier: GPL-2.0
"""The LLDD without an adapter: link services and commands one by one, and what comes back."""

import errno
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ksftlib import debugfs, impl
from ksftlib.debugfs import Values
from ksftlib.ktap import Context, equal
from ksftlib.module import TestModule
from ksftlib.wait import Task, until

from . import link_service
from .address import target_address
from .module import TARGET
from .nvme_command import PLAIN, NvmeCommand

MODULE = TestModule("nvmet_fc_test_lldd", "NVMET_FC_TEST_LLDD")

_FOLDER = "nvmet_fc_test_lldd"

#: Seconds that something takes which waits for the end of associations.
_END = 60.0


class Suite(impl.Suite):
    """Tests that need the target's transport, and no host."""

    def __init__(self) -> None:
        super().__init__("fcq")

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        return "" if TARGET.loaded() else f"{TARGET.name} is not loaded"


@dataclass(frozen=True)
class Command:
    """What the transport has done with a command so far."""

    #: What `nvmet_fc_rcv_fcp_req()` has returned: a negative errno, 0, or None if it has not yet.
    returned: "int | None"
    #: How often it was called back.
    defer_rcv: int
    released: int
    fcp_abort: int
    operations: int
    #: What it waits for: `read`, `write`, `read_rsp`, `rsp`, or `-`.
    waits: str
    #: Of the response, if there was one.
    status: "int | None"
    result: "int | None"
    #: What the transport must not do: how often, and what at first.
    faults: int
    fault: str

    @classmethod
    def parse(cls, words: "list[str]") -> "Command":
        """From the words of a line."""
        values = dict(word.split("=", 1) for word in words)

        def number(name: str) -> "int | None":
            return None if values[name] in ("?", "-") else int(values[name], 0)

        def count(name: str) -> int:
            return int(values[name])

        return cls(
            number("rcv"), count("defer_rcv"), count("release"), count("fcp_abort"), count("ops"),
            values["op"], number("status"), number("result"), count("faults"), values["fault"],
        )  # fmt: skip

    @property
    def deferred(self) -> bool:
        """Whether it had to wait for a job."""
        return self.returned == -errno.EOVERFLOW

    @property
    def history(self) -> "tuple[int, int, int]":
        """`defer_rcv`, `fcp_req_release` and `fcp_abort`: how often they came."""
        return self.defer_rcv, self.released, self.fcp_abort


class Lldd:
    """The module, and the port that it has registered.

    Whatever a test leaves is given back at its end, and nothing may have come twice.
    """

    def __init__(self, context: Context, defers: bool = True) -> None:
        self._context = context
        self._ids = itertools.count(1)
        self._services = itertools.count(1)
        self.address = target_address(9)
        MODULE.insert()
        context.defer(self.remove)
        self._folder = debugfs.folder(_FOLDER)
        context.on_failure(self.describe)
        self.register(defers)

    def order(self, text: str) -> None:
        """Has something done. Raises the OSError that the transport or the LLDD gives."""
        descriptor = os.open(self._folder / "orders", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)

    def later(self, text: str) -> Task:
        """Has something done by a process of its own, for it may take long."""
        return Task(self._context, lambda: self.order(text), f"order {text[:40]!r}")

    def register(self, defers: bool = True) -> None:
        """Registers the port."""
        self.order(
            f"register nn={self.address.node:x} pn={self.address.port:x} defer={int(defers)}"
        )

    def unregister(self) -> None:
        """Unregisters it, without waiting for its end."""
        Task(self._context, lambda: self.order("unregister"), "unregistering").wait(_END)

    def wait_deleted(self) -> None:
        """Waits until the transport has deleted all ports."""
        until(lambda: self.state()["ports_deleted"] == self.state()["ports"],
              f"all ports to be deleted ({self.state()})", _END)  # fmt: skip

    def remove(self) -> None:
        """Takes the module out, whatever is under way."""
        if MODULE.loaded():
            faults = self.faults()
            own = Context()
            try:
                Task(own, MODULE.remove, "unloading the LLDD").wait(_END)
            finally:
                own.clean_up()
            equal(faults, [], "what the transport must not do")

    def state(self) -> Values:
        """Its numbers."""
        return Values((self._folder / "state").read_text(encoding="ascii"))

    def faults(self) -> "list[str]":
        """The commands to which the transport has done what it must not."""
        lines = [f"{number} {command}" for number, command in self.commands().items()
                 if command.faults]  # fmt: skip
        total = self.state()["faults"]
        return lines or ([f"{total} faults"] if total else [])

    def describe(self) -> str:
        """All that is known, for people."""
        return "\n".join([
            str(self.state()),
            *(f"{number} {command}" for number, command in self.commands().items()),
        ])  # fmt: skip

    def commands(self) -> "dict[int, Command]":
        """All commands by their number."""
        text = (self._folder / "commands").read_text(encoding="ascii")
        lines = [line.split() for line in text.splitlines()]
        return {int(words[0]): Command.parse(words[1:]) for words in lines}

    def command(self, number: int) -> Command:
        """What became of a command."""
        return self.commands()[number]

    def request(self, content: bytes, length: "int | None" = None) -> int:
        """Requests a link service; the number of the request."""
        number = next(self._services)
        words = f"ls {number} data={content.hex()}"
        self.order(words if length is None else f"{words} length={length}")
        return number

    def answers(self, number: int) -> "list[bytes]":
        """The answers to a request: none, or the last one as often as one came."""
        for line in (self._folder / "link_services").read_text(encoding="ascii").splitlines():
            words = line.split()
            if int(words[0]) == number:
                values = dict(word.split("=", 1) for word in words[1:])
                return [bytes.fromhex(values["rsp"])] * int(values["answers"])
        raise AssertionError(f"there is no request {number}")

    def answer(self, number: int) -> bytes:
        """Waits for the answer to a request."""
        (response,) = until(lambda: self.answers(number), f"the answer to request {number}", _END)
        return response

    def associate(self, sqsize: int = 4) -> "Association":
        """Creates an association; its admin queue has so many entries."""
        response = self.answer(self.request(link_service.create_association(sqsize)))
        assert link_service.accepted(response), f"no association: {response.hex()}"
        return Association(self, link_service.identifier(response))

    def send(
        self, connection: int, command: NvmeCommand = PLAIN, count: int = 1, **options: object
    ) -> "list[int]":
        """Hands over commands, each with what the transport makes of it; their numbers."""
        first = self.take(count)
        with suppress(OSError):
            self.order(self.words(first, connection, command, count, **options))
        return list(range(first, first + count))

    def take(self, count: int) -> int:
        """The first of so many numbers for commands."""
        first = next(self._ids)
        for _ in range(count - 1):
            next(self._ids)
        return first

    @staticmethod
    def wait_order(task: Task) -> None:
        """Waits for an order that hands over commands, whatever becomes of them."""
        with suppress(OSError):
            task.wait(_END)

    @staticmethod
    def words(
        number: int, connection: int, command: NvmeCommand, count: int = 1, **options: object
    ) -> str:
        """The order that hands over commands."""
        words = [
            f"command {number} conn={connection:x} count={count} sqe={command.sqe.hex()}",
            f"dir={command.direction} size={command.size}",
        ]  # fmt: skip
        if command.data:
            words.append(f"data={command.data.hex()}")
        words += [f"{name}={value}" for name, value in options.items()]
        return " ".join(words)

    def returned(self, numbers: "list[int]") -> "list[int | None]":
        """What handing over these commands has returned."""
        commands = self.commands()
        return [commands[number].returned for number in numbers]

    def complete(self, number: int, error: int = 0) -> None:
        """Completes what the transport waits for, of a command that does not complete by itself."""
        self.wait(number, lambda command: command.waits != "-", "asks for something")
        self.order(f"complete {number} error={error}")

    def wait(self, number: int, condition: Callable[[Command], bool], what: str) -> Command:
        """Waits until something holds of a command."""
        until(lambda: condition(self.command(number)), f"command {number} {what}")
        return self.command(number)

    def wait_asked(self, number: int, operation: str) -> None:
        """Waits until the transport waits for an operation of a command."""
        self.wait(number, lambda command: command.waits == operation, f"waits for {operation}")

    def wait_released(self, *numbers: int) -> "list[Command]":
        """Waits until commands were given back."""
        def back() -> bool:
            commands = self.commands()
            return all(commands[number].released for number in numbers)

        until(back, f"{len(numbers)} commands to be given back")
        commands = self.commands()
        return [commands[number] for number in numbers]


class Association:
    """An association of an initiator."""

    def __init__(self, lldd: Lldd, number: int) -> None:
        self._lldd = lldd
        self.number = number

    @property
    def admin(self) -> int:
        """The connection of its admin queue."""
        return self.number

    def connection(self, qid: int) -> int:
        """That of a queue."""
        return self.number | qid

    def request_connection(self, qid: int, sqsize: int = 4) -> bytes:
        """The answer to the request of a queue."""
        request = link_service.create_connection(self.number, qid, sqsize)
        return self._lldd.answer(self._lldd.request(request))

    def connect(self, qid: int, sqsize: int = 4) -> int:
        """Makes a queue; its connection."""
        response = self.request_connection(qid, sqsize)
        assert link_service.accepted(response), f"no connection: {response.hex()}"
        equal(link_service.identifier(response), self.connection(qid), "connection")
        return self.connection(qid)

    def end(self) -> int:
        """Requests its end; the number of the request, which is answered at the end."""
        return self._lldd.request(link_service.disconnect(self.number))

    def wait_ended(self, request: int) -> None:
        """Waits for the end."""
        response = self._lldd.answer(request)
        assert link_service.accepted(response), f"no end: {response.hex()}"

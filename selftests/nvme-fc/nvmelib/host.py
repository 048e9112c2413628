# SPDX-License-Identifier: GPL-2.0
"""The host: controllers that are connected, their states and their disks."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context
from ksftlib.wait import Task, until

from .address import Address

_CLASS = Path("/sys/class/nvme")
_FABRICS = Path("/dev/nvme-fabrics")

#: Who the host says that it is.
HOST_ID = "0f01fb42-9f7f-4856-b0b3-51e60b8de349"
HOST_NQN = f"nqn.2014-08.org.nvmexpress:uuid:{HOST_ID}"

#: Seconds for connecting and disconnecting.
_LIMIT = 60.0

#: A path of a multipath disk, and a disk of its own.
_PATH = re.compile(r"nvme(?P<head>\d+)c\d+n(?P<number>\d+)$")
_DISK = re.compile(r"nvme\d+n\d+$")


@dataclass(frozen=True)
class Options:
    """How a host connects; what is None is the kernel's choice."""

    nr_io_queues: "int | None" = None
    queue_size: "int | None" = None
    reconnect_delay: "int | None" = 1
    #: Longer than any test.
    ctrl_loss_tmo: "int | None" = 3600
    #: So long that no load of the machine ends a connection.
    keep_alive_tmo: "int | None" = 3600
    fast_io_fail_tmo: "int | None" = None

    def words(self) -> list[str]:
        """As the kernel takes them."""
        return [f"{name}={value}" for name, value in vars(self).items() if value is not None]


#: What most tests connect with.
USUAL = Options()


def _order(text: str) -> str:
    descriptor = os.open(_FABRICS, os.O_RDWR)
    try:
        os.write(descriptor, text.encode())
        return os.read(descriptor, 4096).decode()
    finally:
        os.close(descriptor)


def controllers() -> list[str]:
    """Names of all that there are."""
    return sorted(path.name for path in _CLASS.iterdir()) if _CLASS.is_dir() else []


def _opens(disk: Path) -> bool:
    """Whether there is a disk behind its name: one that has gone leaves it for a moment."""
    try:
        os.close(os.open(disk, os.O_RDONLY))
    except OSError:
        return False
    return disk.is_block_device()


class Controller:
    """One controller of the host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = _CLASS / name

    def exists(self) -> bool:
        """Whether it is there."""
        return self.folder.is_dir()

    def state(self) -> str:
        """``live``, ``connecting`` and so on; empty if it is gone."""
        try:
            return read(self.folder / "state")
        except OSError:
            return ""

    def wait_state(self, *states: str, seconds: float = 30.0) -> str:
        """Waits for one of these states."""
        what = f"{self.name} to be {' or '.join(states)}"
        until(lambda: self.state() in states, what, seconds)
        return self.state()

    def wait_live(self, seconds: float = 60.0) -> None:
        """Waits until it works."""
        self.wait_state("live", seconds=seconds)

    def wait_gone(self, seconds: float = 60.0) -> None:
        """Waits until it is deleted."""
        until(lambda: not self.exists(), f"{self.name} to be gone", seconds)

    def number(self, attribute: str) -> int:
        """A number among its attributes."""
        return int(read(self.folder / attribute))

    def resets(self) -> int:
        """How often it was reset."""
        return self.number("diag/reset_count")

    def wait_resets(self, number: int) -> None:
        """Waits until it has been reset so often."""
        until(lambda: self.resets() >= number, f"reset {number} of {self.name}")

    def disks(self) -> list[Path]:
        """Its namespaces as one opens them: the disk above all paths, if there are several."""
        found = []
        for path in sorted(self.folder.iterdir()):
            if on_path := _PATH.fullmatch(path.name):
                found.append(Path(f"/dev/nvme{on_path['head']}n{on_path['number']}"))
            elif _DISK.fullmatch(path.name):
                found.append(Path("/dev") / path.name)
        return found

    def disk(self, seconds: float = 30.0) -> Path:
        """The first of them, once it is there."""

        def there() -> "Path | None":
            found = self.disks()
            return found[0] if found and _opens(found[0]) else None

        disk = until(there, f"a disk of {self.name}", seconds)
        assert disk
        return disk

    def reset(self) -> None:
        """Starts a reset, which ends by itself."""
        write(self.folder / "reset_controller", "1")

    def disconnecting(self, context: Context) -> Task:
        """Disconnects it; the task ends when it is gone."""
        order = self.folder / "delete_controller"
        return Task(context, lambda: write(order, "1"), f"disconnecting {self.name}")

    def disconnect(self, seconds: float = _LIMIT) -> None:
        """Disconnects it, if it is there."""
        if self.exists():
            own = Context()
            try:
                self.disconnecting(own).wait(seconds)
            finally:
                own.clean_up()
            self.wait_gone()


def connect(
    context: Context, nqn: str, target: Address, host: Address, options: Options = USUAL
) -> Controller:
    """Connects a port of the host with a subsystem, until the end of the test."""
    words = [
        "transport=fc", f"traddr={target.traddr}", f"host_traddr={host.traddr}", f"nqn={nqn}",
        f"hostnqn={HOST_NQN}", f"hostid={HOST_ID}", *options.words(),
    ]  # fmt: skip
    answer = Task(context, lambda: _order(",".join(words)), "connecting").wait(_LIMIT)
    found = re.match(r"instance=(\d+),cntlid=(\d+)", answer)
    assert found, f"the kernel answers {answer!r}"
    controller = Controller(f"nvme{found[1]}")
    context.defer(controller.disconnect)
    return controller

# SPDX-License-Identifier: GPL-2.0
"""The kernel's NVMe target: a subsystem with namespaces, and the port that offers it."""

import itertools
from functools import partial
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context
from ksftlib.module import Module
from ksftlib.wait import Task

from .address import Address
from .module import load_when_missing

_NVMET = Path("/sys/kernel/config/nvmet")
_NULLB = Path("/sys/kernel/config/nullb")

_numbers = itertools.count(1)

#: Seconds for a change that ends associations.
_LIMIT = 60.0


class NullBlk:
    """A disk that is memory, and keeps what is written to it."""

    def __init__(self, context: Context, mib: int = 16, **settings: int) -> None:
        if not _NULLB.is_dir():
            module = Module("null_blk")
            module.need()
            module.load("nr_devices=0")
        self.name = f"ksft-{next(_numbers)}"
        self._folder = _NULLB / self.name
        self._folder.mkdir()
        context.defer(self._remove)
        values = {"size": mib, "blocksize": 512, "memory_backed": 1, "queue_mode": 2, **settings}
        for name, value in values.items():
            write(self._folder / name, str(value))
        write(self._folder / "power", "1")
        # Kernels differ in whether the folder's name is that of the disk.
        named = Path("/dev") / self.name
        self.path = named if named.exists() else Path(f"/dev/nullb{read(self._folder / 'index')}")
        assert self.path.exists(), f"there is no {self.path}"

    def _remove(self) -> None:
        write(self._folder / "power", "0")
        self._folder.rmdir()


class Target:
    """A subsystem with these disks or files as namespaces, offered by a port of the fabric.

    The fabric has to have the port already.
    """

    def __init__(self, context: Context, address: Address, *backing: Path, number: int = 1) -> None:
        load_when_missing(context, Module("nvmet"))
        self.nqn = f"nqn.2014-08.org.nvmexpress:ksft-{number}"
        self._context = context
        self.subsystem = _NVMET / "subsystems" / self.nqn
        self.port = _NVMET / "ports" / str(number)
        self._link = self.port / "subsystems" / self.nqn
        self.subsystem.mkdir()
        context.defer(self.subsystem.rmdir)
        write(self.subsystem / "attr_allow_any_host", "1")
        for nsid, path in enumerate(backing, start=1):
            self._namespace(nsid, path)
        self.port.mkdir()
        context.defer(self.port.rmdir)
        for name, value in (("trtype", "fc"), ("adrfam", "fc"), ("traddr", address.traddr)):
            write(self.port / f"addr_{name}", value)
        context.defer(self.withdraw)
        self.offer()

    def _namespace(self, nsid: int, path: Path) -> None:
        folder = self.subsystem / "namespaces" / str(nsid)
        folder.mkdir()
        self._context.defer(folder.rmdir)
        write(folder / "device_path", str(path))
        write(folder / "enable", "1")
        self._context.defer(partial(write, folder / "enable", "0"))

    def offer(self) -> None:
        """The port offers the subsystem."""
        self._link.symlink_to(self.subsystem)

    def offered(self) -> bool:
        """Whether it does."""
        return self._link.is_symlink()

    def withdraw(self) -> None:
        """The port no longer offers it, and its associations end."""
        if self.offered():
            own = Context()
            try:
                Task(own, self._link.unlink, "taking the subsystem off the port").wait(_LIMIT)
            finally:
                own.clean_up()

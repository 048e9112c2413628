# SPDX-License-Identifier: GPL-2.0
"""The target's configfs: backend devices of type "user" and loopback LUNs."""

import contextlib
import subprocess
from pathlib import Path

from ksftlib import ktap
from ksftlib.files import read, write
from ksftlib.ktap import Context
from ksftlib.wait import until

TARGET = Path("/sys/kernel/config/target")
CORE = TARGET / "core"
LOOPBACK = TARGET / "loopback"

#: Number of the first HBA that the tests create; one each, so that they do not meet.
_FIRST_HBA = 4100

#: Naming authority and vendor part of the port names that the tests create.
_NAA = "naa.6001405a17e5"

_next_hba = _FIRST_HBA
_next_port = 0

#: Adapters and ports that one of several processes can make.
_SHARE = 256


def take_share(worker: int) -> None:
    """Gives a forked process, the `worker`-th from 0, numbers that none of the others uses."""
    global _next_hba, _next_port
    _next_hba = _FIRST_HBA + (worker + 1) * _SHARE
    _next_port = (worker + 1) * _SHARE


def free_number() -> int:
    """A number for an adapter that no other one of the tests has."""
    global _next_hba
    _next_hba += 1
    return _next_hba - 1


class Hba:
    """A host bus adapter of the target core. `kind` is the name of its backend."""

    def __init__(self, context: Context, kind: str = "user") -> None:
        self.number = free_number()
        self.path = CORE / f"{kind}_{self.number}"
        self.path.mkdir()
        context.defer(self.remove)

    def remove(self) -> None:
        """Removes the adapter if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.path.rmdir()


class Device:
    """A device of the backend, at first not enabled."""

    def __init__(self, context: Context, name: str = "disk", hba: "Hba | None" = None) -> None:
        self.context = context
        self.hba = hba or Hba(context)
        self.name = name
        self.path = self.hba.path / name
        self.path.mkdir()
        context.defer(self.remove)

    def control(self, options: str) -> None:
        """Writes the control file."""
        write(self.path / "control", options)

    def enable(self) -> None:
        """Brings the device up: the UIO node appears."""
        write(self.path / "enable", "1")

    def info(self) -> str:
        """The device's own part of the info file, without indentation."""
        lines = read(self.path / "info").splitlines()
        return lines[-1].strip() if lines else ""

    def attrib(self, name: str) -> str:
        """An attribute's text."""
        return read(self.path / "attrib" / name)

    def set_attrib(self, name: str, value: "str | int") -> None:
        """Writes an attribute."""
        write(self.path / "attrib" / name, str(value))

    def action(self, name: str, value: "str | int") -> None:
        """Writes one of block_dev, reset_ring, free_kept_buf."""
        write(self.path / "action" / name, str(value))

    def uio_name(self) -> str:
        """How the kernel names this device's UIO node, without its configuration string."""
        return f"tcm-user/{self.hba.number}/{self.name}"

    def uio(self) -> "str | None":
        """``uioN`` of this device; None if there is none."""
        wanted = self.uio_name()
        for path in Path("/sys/class/uio").glob("uio*"):
            with contextlib.suppress(FileNotFoundError, OSError):
                name = read(path / "name")
                if name == wanted or name.startswith(wanted + "/"):
                    return path.name
        return None

    def node(self) -> Path:
        """The UIO node in /dev."""
        name = self.uio()
        assert name, f"no UIO device named {self.uio_name()}"
        path = Path("/dev") / name
        until(path.exists, f"{path} to appear")
        return path

    def remove(self) -> None:
        """Removes the device if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.path.rmdir()


def load_fabric() -> None:
    """Makes the loopback fabric ready."""
    # The target core asks for the module itself when the folder is made, but
    # gives up without saying why when modprobe is not where the kernel looks.
    if not Path("/sys/module/tcm_loop").is_dir():
        subprocess.run(["modprobe", "tcm_loop"], check=True, timeout=60 * ktap.PATIENCE)
    LOOPBACK.mkdir(exist_ok=True)


def link_lun(context: Context, tpg: Path, device: Device, number: int) -> Path:
    """Exports `device` in a target portal group; returns the link, whose removal ends it."""
    lun = tpg / "lun" / f"lun_{number}"
    lun.mkdir()
    context.defer(lun.rmdir)
    link = lun / "selftest"
    link.symlink_to(device.path)
    # A test may have removed it.
    context.defer(lambda: link.unlink(missing_ok=True))
    return link


class Loopback:
    """A loopback port with one I_T nexus and any number of LUNs.

    Every port is a SCSI host of its own, so its error recovery stops no other's.
    """

    def __init__(self, context: Context) -> None:
        global _next_port
        load_fabric()
        self.context = context
        self.wwn = f"{_NAA}{2 * _next_port:04x}"
        self.nexus = f"{_NAA}{2 * _next_port + 1:04x}"
        _next_port += 1
        self.path = LOOPBACK / self.wwn
        self.tpg = self.path / "tpgt_1"
        self.path.mkdir()
        context.defer(self.path.rmdir)
        self.tpg.mkdir()
        context.defer(self.tpg.rmdir)
        write(self.tpg / "nexus", self.nexus)
        # "host:channel:target"
        self.address = read(self.tpg / "address")

    def add_lun(self, device: Device, number: int = 0) -> str:
        """Exports `device`; returns the SCSI address. Something must already serve the device."""
        link_lun(self.context, self.tpg, device, number)
        return f"{self.address}:{number}"


def remove_leftovers() -> None:
    """Fails the test if a device of these tests is left in configfs."""
    left = [path.name for path in CORE.glob("user_*") if int(path.name[5:]) >= _FIRST_HBA]
    ktap.equal(left, [], "adapters left behind")

# SPDX-License-Identifier: GPL-2.0
"""The initiator's side: SCSI devices of the loopback, direct I/O and SG_IO."""

import ctypes
import fcntl
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from ksftlib import udev
from ksftlib.files import read, write
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import LONG, Context, Skip
from ksftlib.trace import Trace
from ksftlib.wait import Task, until

from .configfs import Device, Loopback

#: ioctls of <scsi/sg.h>.
_SG_IO = 0x2285
_SG_SCSI_RESET = 0x2284
_SG_SCSI_RESET_DEVICE = 1
#: No escalation to target, bus and host when the device reset fails.
_SG_SCSI_RESET_NO_ESCALATE = 0x100

_SG_DXFER_NONE, _SG_DXFER_TO_DEV, _SG_DXFER_FROM_DEV = -1, -2, -3

#: Host bytes of a result.
DID_OK, DID_TIME_OUT = 0x00, 0x03

GOOD, CHECK_CONDITION, BUSY, RESERVATION_CONFLICT, TASK_SET_FULL, TASK_ABORTED = (
    0x00, 0x02, 0x08, 0x18, 0x28, 0x40,
)  # fmt: skip

#: Bytes of a logical block.
BLOCK = 512

TEST_UNIT_READY = bytes(6)

#: First of the blocks that only tests read, in the middle of a disk of the usual size: partition
#: tables, and what tells file systems and RAIDs, are near the start and the end.
OWN = 0x4000

#: READs of these blocks, for the daemon's rules.
OWN_READS = f"read,lba={OWN}-{OWN + 0x1FFF}"


#: Disks of the loopback and of iSCSI sessions, as udev names them.
_DISKS = ("*/tcm_loop_adapter_*", "*/session[0-9]*/target[0-9]*")


def leave_disks_alone(context: Context) -> None:
    """From now on, until `context` is undone, udev sends no commands to disks that appear."""
    udev.leave_alone(context, *_DISKS)


def read10(lba: int, blocks: int) -> bytes:
    """CDB of READ(10)."""
    return bytes([0x28, 0]) + lba.to_bytes(4, "big") + b"\0" + blocks.to_bytes(2, "big") + b"\0"


def write10(lba: int, blocks: int) -> bytes:
    """CDB of WRITE(10)."""
    return b"\x2a" + read10(lba, blocks)[1:]


class _SgIoHdr(ctypes.Structure):
    _fields_ = [
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    ]


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    host_status: int
    sense: bytes
    data: bytes
    #: Bytes asked for and not transferred.
    residual: int

    @property
    def sense_triple(self) -> tuple[int, int, int]:
        """Sense key, ASC and ASCQ of fixed-format or descriptor-format sense data."""
        if len(self.sense) < 4:
            return (0, 0, 0)
        if self.sense[0] & 0x7F >= 0x72:
            return (self.sense[1] & 0xF, self.sense[2], self.sense[3])
        return (self.sense[2] & 0xF, self.sense[12], self.sense[13])


class EhLog(KernelLog):
    """What the SCSI layer says about its error recovery."""

    #: SCSI logging bits: error recovery up to level 3.
    _LEVEL = "4"

    def __init__(self, context: Context) -> None:
        path = Path("/sys/module/scsi_mod/parameters/scsi_logging_level")
        before = read(path)
        write(path, self._LEVEL)
        if read(path) != self._LEVEL:
            raise Skip("the kernel has no CONFIG_SCSI_LOGGING")
        context.defer(lambda: write(path, before))
        super().__init__(context)


class CommandTrace(Trace):
    """The SCSI layer's trace events for commands: what the target answered each time."""

    #: Status names in the trace.
    _NAMES = {GOOD: "GOOD", BUSY: "BUSY", TASK_SET_FULL: "TASK_SET_FULL"}

    def __init__(self, context: Context) -> None:
        super().__init__(context, "scsi", "scsi_dispatch_cmd_start", "scsi_dispatch_cmd_done")

    def _count(self, event: str, cdb: bytes, end: str = "") -> int:
        raw = "raw=" + cdb.hex(" ") + ")"
        return sum(
            name == event and raw in text and end in text for name, text in self.events()
        )

    def done(self, cdb: bytes, status: int) -> int:
        """How often the target has answered this command with this status."""
        return self._count("scsi_dispatch_cmd_done", cdb, f"status=SAM_STAT_{self._NAMES[status]})")

    def wait_done(self, cdb: bytes, status: int) -> None:
        """Waits for such an answer."""
        until(lambda: self.done(cdb, status), f"status {status:#x} for {cdb.hex()}")

    def wait_start(self, cdb: bytes) -> None:
        """Waits until the command has been handed to the target."""
        until(lambda: self._count("scsi_dispatch_cmd_start", cdb), f"the start of {cdb.hex()}")


class Unit:
    """A logical unit of any type, by its SCSI address."""

    def __init__(self, context: Context, address: str) -> None:
        self.context = context
        self.address = address
        self.sysfs = Path("/sys/class/scsi_device") / address / "device"
        self.sg = Path("/dev") / self._child("scsi_generic")

    def _child(self, kind: str) -> str:
        def look() -> "str | None":
            folder = self.sysfs / kind
            names = os.listdir(folder) if folder.is_dir() else []
            return names[0] if names and (Path("/dev") / names[0]).exists() else None

        name = until(look, f"a {kind} device at {self.address}")
        assert name is not None
        return name

    def sg_io(
        self, cdb: bytes, data_in: int = 0, data_out: bytes = b"", timeout: float = LONG
    ) -> Answer:
        """Sends one command and waits for it; not retried by the SCSI layer."""
        size = data_in or len(data_out)
        buffer = ctypes.create_string_buffer(data_out, max(size, 1))
        sense = ctypes.create_string_buffer(96)
        command = ctypes.create_string_buffer(cdb, len(cdb))
        direction = _SG_DXFER_NONE
        if size:
            direction = _SG_DXFER_FROM_DEV if data_in else _SG_DXFER_TO_DEV
        header = _SgIoHdr(
            interface_id=ord("S"),
            dxfer_direction=direction,
            cmd_len=len(cdb),
            mx_sb_len=len(sense),
            dxfer_len=size,
            dxferp=ctypes.addressof(buffer) if size else None,
            cmdp=ctypes.addressof(command),
            sbp=ctypes.addressof(sense),
            timeout=int(timeout * 1000),
        )
        descriptor = os.open(self.sg, os.O_RDWR)
        try:
            fcntl.ioctl(descriptor, _SG_IO, header)
        finally:
            os.close(descriptor)
        return Answer(
            header.status,
            header.host_status,
            sense.raw[: header.sb_len_wr],
            buffer.raw[:size] if data_in else b"",
            header.resid,
        )

    def lun_reset(self) -> None:
        """LOGICAL UNIT RESET; raises OSError if the target does not complete it."""
        descriptor = os.open(self.sg, os.O_RDWR | os.O_NONBLOCK)
        try:
            how = ctypes.c_int(_SG_SCSI_RESET_DEVICE | _SG_SCSI_RESET_NO_ESCALATE)
            fcntl.ioctl(descriptor, _SG_SCSI_RESET, how)
        finally:
            os.close(descriptor)

    def task_sg(self, cdb: bytes, **arguments: object) -> Task:
        """`sg_io` in a process of its own."""
        return Task(
            self.context,
            lambda: self.sg_io(cdb, **arguments),  # type: ignore[arg-type]
            f"command {cdb[0]:#04x}",
        )

    def task_reset(self) -> Task:
        """`lun_reset` in a process of its own."""
        return Task(self.context, self.lun_reset, "LUN RESET")


class Disk(Unit):
    """A SCSI device of the loopback; `log` was opened before it came up."""

    def __init__(self, context: Context, address: str, log: KernelLog) -> None:
        # The disk driver probes in the background. Commands of its own must not come
        # between those of the tests: this is the last thing that it says.
        log.wait(f"sd {address}:", "Attached SCSI disk")
        super().__init__(context, address)
        self.block = Path("/dev") / self._child("block")
        self.set_timeout(int(LONG))

    def queue(self, name: str, value: "str | int") -> None:
        """Sets a limit of the block queue."""
        write(Path("/sys/block") / self.block.name / "queue" / name, str(value))

    def set_timeout(self, seconds: int) -> None:
        """Time after which the SCSI layer aborts a command."""
        write(self.sysfs / "timeout", str(seconds))

    def remove_silently(self) -> None:
        """Its removal will not send SYNCHRONIZE CACHE, for which an answer would be waited for."""
        path = Path("/sys/class/scsi_disk") / self.address / "cache_type"
        write(path, "temporary write through\n")

    def read(self, lba: int, blocks: int) -> bytes:
        """Reads past the page cache; raises OSError if the disk fails it."""
        buffer = mmap.mmap(-1, blocks * BLOCK)
        descriptor = os.open(self.block, os.O_RDONLY | os.O_DIRECT)
        try:
            done = os.preadv(descriptor, [buffer], lba * BLOCK)
            return buffer[:done]
        finally:
            os.close(descriptor)
            buffer.close()

    def write(self, lba: int, data: bytes) -> None:
        """Writes past the page cache; raises OSError if the disk fails it."""
        buffer = mmap.mmap(-1, len(data))
        buffer[:] = data
        descriptor = os.open(self.block, os.O_WRONLY | os.O_DIRECT)
        try:
            done = os.pwritev(descriptor, [buffer], lba * BLOCK)
            assert done == len(data), f"{done} of {len(data)} bytes written"
        finally:
            os.close(descriptor)
            buffer.close()

    def task_read(self, lba: int, blocks: int) -> Task:
        """`read` in a process of its own."""
        return Task(self.context, lambda: self.read(lba, blocks), f"READ of {blocks} at {lba}")

    def task_write(self, lba: int, data: bytes) -> Task:
        """`write` in a process of its own."""
        return Task(self.context, lambda: self.write(lba, data), f"WRITE at {lba}")


def attach(context: Context, device: Device) -> Disk:
    """Exports `device` through a new loopback port of its own. Something must serve it."""
    log = KernelLog(context)
    return Disk(context, Loopback(context).add_lun(device), log)

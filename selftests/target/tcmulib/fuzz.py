# SPDX-License-Identifier: GPL-2.0
"""A device whose daemon attacks the kernel, and an honest one beside it."""

import contextlib
import json
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ksftlib.files import read, write
from ksftlib.ktap import PATIENCE, Context, Skip, equal

from .abuse import DISK_TIMEOUT, abuses
from .daemon import program, use_copy
from .load import Load
from .rig import Rig, pattern
from .scsi import BLOCK, Disk

#: Bytes of the disks.
_SIZE = 16 << 20

#: Seconds between two looks at the attacked disk.
_LOOK = 0.5

#: Commands that the initiator sends at once; others would have it wait after TASK SET FULL.
_DEPTH = 512


def fuzzer() -> str:
    """The hostile daemon's path; it is built with the honest one."""
    path = Path(program()).with_name("tcmu-fuzz")
    if not path.exists():
        raise Skip("no tcmu-fuzz next to tcmud")
    return str(path)


class Nurse:
    """Undoes what wrong answers make of the initiator's view of disks.

    After some of them the SCSI layer takes a disk off line, or lets it have one command at a time,
    or takes it for one of another size.
    """

    def __init__(self, context: Context, *disks: Disk) -> None:
        self._disks = disks
        self._ended = threading.Event()
        #: How often a disk was off line.
        self.revived = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        context.defer(self._stop)

    def look(self) -> None:
        """One look now."""
        for disk in self._disks:
            # A disk that error recovery has in its hands refuses.
            with contextlib.suppress(OSError):
                self._look_at(disk)

    def _look_at(self, disk: Disk) -> None:
        if read(disk.sysfs / "state") == "offline":
            write(disk.sysfs / "state", "running\n")
            self.revived += 1
        if int(read(disk.sysfs / "queue_depth")) < _DEPTH:
            write(disk.sysfs / "queue_depth", str(_DEPTH))
        if int(read(Path("/sys/class/block") / disk.block.name / "size")) != _SIZE // BLOCK:
            write(disk.sysfs / "rescan", "1")

    def _work(self) -> None:
        while not self._ended.wait(_LOOK):
            self.look()

    def _stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=60)


class Attacked:
    """The device that is attacked, and load that keeps commands coming.

    `fabric` is over what initiators lose patience: one of `abuse.FABRICS`.
    """

    #: 64 blocks of the data area, one a command: commands wait in the qfull queue, and few have to be
    #: sent again after a reset.
    _OPTIONS = "data_pages_per_blk=4,max_data_area_mb=1,cmd_ring_size_mb=1"

    def __init__(self, context: Context, seed: int, fabric: str = "iscsi") -> None:
        self._context = context
        self._seed = seed
        self._fabric = fabric
        self._fuzzer = fuzzer()
        self._rig = Rig(
            context,
            options=self._OPTIONS,
            attributes={"cmd_time_out": 1, "tmr_notification": 1},
            size=_SIZE,
        )
        #: Its disk.
        self.disk = self._rig.disk()
        # One command a page: many commands for little data.
        self.disk.queue("max_sectors_kb", 4)
        with contextlib.suppress(OSError):
            self.disk.queue("scheduler", "none")
        # Short enough for a command that is refused with BUSY again and again to fail before the
        # kernel takes its process for stuck. Longer than the device takes for a command, unless the
        # SCSI layer is to give commands up.
        self.disk.set_timeout(8 if fabric == "iscsi" else DISK_TIMEOUT)
        # A child that touches a page without memory is to leave no dump.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._abuses = abuses(fabric, context, self._rig, _SIZE)
        self._disks = [self.disk, *(disk for abuse in self._abuses for disk in abuse.disks)]
        self._rig.daemon.stop()
        self._loads = Context()
        context.defer(self._stop_load)

    def start_load(self) -> Nurse:
        """Reads, writes and aborts go on from now on, whatever the answers are."""
        process = subprocess.Popen(
            [self._fuzzer, "load", "--disk", str(self.disk.block), "--seed", str(self._seed)],
            stdin=subprocess.DEVNULL,
        )
        self._loads.defer(partial(self._end, process))
        for abuse in self._abuses:
            abuse.start(self._loads, self._seed)
        return Nurse(self._loads, *self._disks)

    def given_up(self) -> dict[str, int]:
        """Task management that the device has carried out so far, by name."""
        numbers = self._rig.statistics("scsi_tgt_dev") | self._rig.statistics("scsi_lu")
        return {name: numbers[name] for name in ("aborts_complete", "aborts_no_task", "resets")}

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        process.terminate()
        try:
            process.wait(timeout=60 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def _stop_load(self) -> None:
        errors = self._loads.clean_up()
        assert not errors, "\n".join(errors)

    def attack(
        self, *arguments: str, limit: float, line: Callable[[str], object] = lambda _line: None
    ) -> tuple[int, dict[str, Any]]:
        """Runs the hostile daemon; returns its exit status and its last line, which is JSON. The
        other lines are for `line`.

        It is killed after `limit` seconds, which is then a failure.
        """
        device = self._rig.device
        command = [self._fuzzer, "run", "--device", f"{device.hba.number}/{device.name}",
                   "--seed", str(self._seed), *arguments]  # fmt: skip
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        watchdog = threading.Timer(limit, process.kill)
        watchdog.start()
        last = ""
        try:
            assert process.stdout is not None
            for text in process.stdout:
                if text.startswith("{"):
                    last = text
                else:
                    line(text.rstrip("\n"))
            status = process.wait(timeout=60 * PATIENCE)
        finally:
            watchdog.cancel()
            if process.poll() is None:
                process.kill()
        assert last, f"no result; exit status {status}"
        return status, json.loads(last)

    def repair(self) -> float:
        """An honest daemon takes over, and every byte is right; returns the seconds it took."""
        start = time.monotonic()
        self._rig.restart()
        # Not before: processes wait for commands that only a daemon can end.
        self._stop_load()
        Nurse(self._loads, *self._disks).look()
        self.disk.queue("max_sectors_kb", 128)
        for number, blocks in enumerate((1, 8, 256, 2048)):
            data = pattern(number, blocks * BLOCK)
            self.disk.write(number * 4096, data)
            assert self.disk.read(number * 4096, blocks) == data, f"{blocks} blocks differ"
        return time.monotonic() - start


class Victim:
    """An honest device under load, every byte of it checked.

    `pause` is the number of seconds between two chunks: it is there to notice errors, not to take
    the processor.
    """

    def __init__(self, context: Context, pause: float = 0.2) -> None:
        rig = Rig(context, size=_SIZE)
        self._load = Load(context, rig.disk(), processes=2, pause=pause)

    def check(self) -> int:
        """Fails the test at an error or a wrong byte; returns the number of chunks so far."""
        self._load.goes_on(2, 60)
        return sum(self._load.done())

    def finish(self) -> int:
        """Ends it, and looks at everything that was written once more."""
        chunks = self.check()
        assert self._load.stop(60), "nothing was written"
        return chunks


def check_result(status: int, result: dict[str, Any]) -> None:
    """Fails the test unless the hostile daemon saw what it has to see."""
    equal((status, result["wrong"]), (0, 0), "exit status of tcmu-fuzz, and wrong outcomes")


def use_copies(folder: Path) -> None:
    """Both daemons are started from copies in `folder` from now on."""
    shutil.copy(fuzzer(), folder)
    use_copy(folder)

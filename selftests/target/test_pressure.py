#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Disks of the backend while memory is short, and many at a time."""

import mmap
import subprocess
import tempfile
import time
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.fio import Fio, wait_all
from ksftlib.ktap import PATIENCE, Context, Skip, diag, equal
from ksftlib.memory import parse_meminfo
from tcmulib.rig import Rig
from tcmulib.scsi import Disk
from tcmulib.suite import Suite

suite = Suite()

LIMIT = Path("/sys/module/target_core_user/parameters/global_max_data_area_mb")

MIB = 1 << 20

#: Memory that the hog leaves to all others.
LEFT = 64 * MIB

#: Seconds between two looks of the hog.
EACH = 0.5

#: More than this cannot be taken from a machine in a reasonable time.
MOST_TAKEN = 6 << 30

DEVICES = 8

#: KiB by which a mapping shrinks at least when the kernel takes pages back.
DROP = 32


def available() -> int:
    """Bytes that processes could still get."""
    return parse_meminfo(Path("/proc/meminfo").read_text())["MemAvailable"] * 1024


class Hog:
    """Keeps memory short: takes what is available, up to `LEFT`.

    There must be no swap, so that nothing but page cache can be reclaimed.
    """

    def __init__(self, context: Context) -> None:
        if parse_meminfo(Path("/proc/meminfo").read_text())["SwapTotal"]:
            raise Skip("there is swap, into which the memory would go")
        if available() > MOST_TAKEN:
            raise Skip(f"the machine has more than {MOST_TAKEN >> 30} GiB available")
        self._taken: list[mmap.mmap] = []
        #: Bytes that were available at the worst moment.
        self.least = available()
        context.defer(self.release)

    def press(self) -> None:
        """Takes more if there is more than should be, and drops clean pages."""
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        while (more := available() - LEFT) > MIB:
            piece = mmap.mmap(-1, min(more, 64 * MIB) & -MIB, private)
            # A child would copy what it writes to.
            piece.madvise(mmap.MADV_DONTFORK)
            self._taken.append(piece)
        self.least = min(self.least, available())
        write(Path("/proc/sys/vm/drop_caches"), "1")
        time.sleep(EACH)

    def release(self) -> None:
        """Gives all back."""
        for piece in self._taken:
            piece.close()
        self._taken.clear()


def spare(pid: int) -> None:
    """Keeps the out-of-memory killer away from the process."""
    write(Path(f"/proc/{pid}/oom_score_adj"), "-1000")


def mounted(context: Context, disk: Disk) -> Path:
    """A new ext4, with journal, on the disk."""
    mkfs = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(disk.block)]
    subprocess.run(mkfs, check=True, timeout=60 * PATIENCE, stdout=subprocess.DEVNULL)
    folder = Path(tempfile.mkdtemp(prefix="tcmu-mount-"))
    context.defer(folder.rmdir)
    subprocess.run(["mount", str(disk.block), str(folder)], check=True, timeout=60 * PATIENCE)
    context.defer(lambda: subprocess.run(["umount", str(folder)], check=True, timeout=60 * PATIENCE))
    return folder


def dirty_limits(context: Context) -> None:
    """Lets dirty pages fill a good part of what memory is left."""
    for name, value in (("dirty_bytes", LEFT // 2), ("dirty_background_bytes", LEFT // 4)):
        path = Path("/proc/sys/vm") / name
        ratio = Path("/proc/sys/vm") / name.replace("bytes", "ratio")
        # Setting one clears the other.
        before = (path, read(path)) if read(path) != "0" else (ratio, read(ratio))
        context.defer(lambda before=before: write(*before))  # type: ignore[misc]
        write(path, str(value))


@suite.test("a file system keeps its data while memory is short", limit=110)
def file_system(context: Context) -> None:
    rig = Rig(context, size=64 * MIB, options="max_data_area_mb=8,cmd_ring_size_mb=1")
    disk = rig.disk()
    folder = mounted(context, disk)
    spare(rig.daemon.process.pid)
    dirty_limits(context)
    hog = Hog(context)
    hog.press()
    # Buffered writes into holes: each needs memory for page, journal and, in
    # the daemon, for a piece of the disk that had none.
    jobs = [
        Fio(
            context, f"job{number}", f"--filename={folder}/file{number}", "--size=6M", "--bs=16k",
            "--end_fsync=1", f"--randseed={number}",
        )
        for number in range(3)
    ]  # fmt: skip
    wait_all(jobs, 80, hog.press)
    diag(f"{hog.least // MIB} MiB were available at the worst moment")
    assert hog.least < 2 * LEFT, "memory was never short"
    check = ["fsck.ext4", "-n", "-f", str(disk.block)]
    hog.release()
    subprocess.run(["umount", str(folder)], check=True, timeout=60 * PATIENCE)
    try:
        subprocess.run(check, check=True, timeout=60 * PATIENCE, capture_output=True)
    finally:
        subprocess.run(["mount", str(disk.block), str(folder)], check=True, timeout=60 * PATIENCE)


def rss_file(status: str) -> int:
    """KiB of files and devices that a process has mapped, from its status file."""
    line = next(line for line in status.splitlines() if line.startswith("RssFile:"))
    return int(line.split()[1])


class Mapped:
    """What daemons have mapped of files and devices."""

    def __init__(self, rigs: list[Rig]) -> None:
        self._status = [Path(f"/proc/{rig.daemon.process.pid}/status") for rig in rigs]
        self._last = self._kib()
        #: How often it became clearly less.
        self.drops = 0

    def _kib(self) -> list[int]:
        return [rss_file(path.read_text()) for path in self._status]

    def look(self) -> None:
        """Compares with the last look."""
        now = self._kib()
        self.drops += sum(before - after >= DROP for before, after in zip(self._last, now))
        self._last = now


def eight(context: Context) -> int:
    """Verified I/O on all devices at a time; returns how often pages went from a daemon."""
    options = "max_data_area_mb=4,cmd_ring_size_mb=1,hw_max_sectors=512"
    rigs = [Rig(context, size=4 * MIB, options=options) for _ in range(DEVICES)]
    disks = [rig.disk() for rig in rigs]
    jobs = [
        Fio(
            context, f"disk{number}", f"--filename={disk.block}", "--direct=1", "--numjobs=2",
            "--size=1M", "--offset_increment=2M", "--bsrange=4k-256k", "--group_reporting",
            f"--randseed={number}",
        )
        for number, disk in enumerate(disks)
    ]  # fmt: skip
    mapped = Mapped(rigs)
    wait_all(jobs, 80, mapped.look)
    for number, rig in enumerate(rigs):
        diag(f"disk {number}: {rig.daemon.ctl('stats')}")
        equal(rig.daemon.events("error"), [], "errors that the daemon saw")
    return mapped.drops


@suite.test("eight devices at a time keep their own data", limit=110)
def parallel(context: Context) -> None:
    equal(eight(context), 0, "times that pages went from a daemon")


@suite.test("eight devices keep their data while pages are taken back", limit=110)
def reclaim(context: Context) -> None:
    before = read(LIMIT)
    context.defer(lambda: write(LIMIT, before))
    write(LIMIT, "1")
    drops = eight(context)
    diag(f"pages went from a daemon {drops} times")
    # C takes only what lies above the last block in use, so it may find little.
    assert drops, "pages were never taken back"


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=4000 impl=both
"""A session of targetcli and tcmu-runner, as distributions ship them, in full.

Prints each command and its output, then tcmu-runner's log and the kernel's. For a machine whose
target is not in use. The last line is the verdict; the exit status is 0 if everything went as
it must.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from ksftlib.files import read
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PATIENCE, Context, time_limit
from tcmulib.impl import implementation
from tcmulib.runner import Clients
from tcmulib.scsi import Disk, leave_disks_alone
from tcmulib.stress import undone, verdict

#: Seconds for the whole session; emulated machines need most of it.
_LIMIT = 240.0

#: Bytes of the disk, and of the data that is written to it.
_SIZE, _DATA = 4 << 20, 64 << 10

_WWN = "naa.500140517e50000a"


def heading(text: str) -> None:
    """A line between two parts."""
    print(f"\n=== {text} ===", flush=True)


def shell(*command: "str | Path") -> None:
    """Runs a command, shows it and what it says. It must succeed."""
    words = [str(word) for word in command]
    print(f"# {shlex.join(words)}", flush=True)
    done = subprocess.run(
        words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=60 * PATIENCE,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, f"exit status {done.returncode}"


def session(context: Context) -> None:
    """All of it."""
    leave_disks_alone(context)
    log = KernelLog(context)
    ours = Clients(context, "--debug")
    runner, folder = ours.runner, ours.folder
    image, data = ours.image("disk.qcow2"), folder / "data"
    data.write_bytes(bytes(range(256)) * (_DATA // 256))

    def cli(command: str, *expected: str) -> None:
        print(f"/> {command}\n{ours.cli.run(command, *expected)}", end="", flush=True)

    heading(f"{implementation()} modules, kernel {read(Path('/proc/sys/kernel/osrelease'))}")
    packages = ("tcmu-runner", "targetcli-fb", "python3-rtslib-fb", "python3-configshell-fb")
    shell("dpkg-query", "--show", *packages)
    # Silent: no file of them differs from what the packages brought.
    shell("dpkg", "--verify", *packages)
    shell("qemu-img", "create", "-f", "qcow2", "-o", "preallocation=metadata", image, str(_SIZE))

    heading("a device and a LUN")
    options = f"size={_SIZE} cfgstring={image} hw_max_sectors=256 control=max_data_area_mb=8"
    cli(f"/backstores/user:qcow create name=disk {options}", "Created user-backed storage object")
    cli("/backstores/user:qcow/disk info", "hw_max_sectors: 256")
    cli("/backstores/user:qcow/disk set attribute cmd_time_out=45", "is now '45'")
    cli("/backstores/user:qcow/disk set attribute tmr_notification=1", "is now '1'")
    cli("/backstores/user:qcow/disk get attribute", "cmd_time_out=45", "tmr_notification=1")
    cli(f"/loopback create {_WWN}", "Created target")
    cli(f"/loopback/{_WWN}/luns create /backstores/user:qcow/disk", "Created LUN 0")
    cli("ls", "o- disk ")
    address = read(Path(f"/sys/kernel/config/target/loopback/{_WWN}/tpgt_1/address")) + ":0"
    disk = Disk(context, address, log)

    heading("data")
    shell("lsblk", "--scsi", "--output", "NAME,HCTL,TYPE,VENDOR,MODEL,REV", disk.block)
    shell("dd", f"if={data}", f"of={disk.block}", "bs=64k", "oflag=direct", "status=none")
    shell("cmp", f"--bytes={_DATA}", data, disk.block)

    heading("tcmu-runner is killed and started again")
    runner.kill()
    logs = [runner.log()]
    runner.start()
    disk.read(0, 8)
    shell("dd", f"if={data}", f"of={disk.block}", "bs=64k", "seek=1", "oflag=direct", "status=none")

    heading("the configuration is saved, cleared and restored")
    saved = folder / "saveconfig.json"
    cli(f"saveconfig {saved}", "Configuration saved")
    cli("clearconfig confirm=True", "All configuration cleared")
    ours.nothing_left()
    # Its handlers take no new settings while they run; that it says so three times is right.
    cli(f"restoreconfig {saved}", "Configuration restored, 3 recoverable errors")
    cli("ls /backstores/user:qcow", "disk")

    heading("removal")
    cli("/backstores/user:qcow delete disk", "Deleted storage object disk")
    cli(f"/loopback delete {_WWN}", "Deleted Target")
    ours.nothing_left()
    shell("ls", "/sys/kernel/config/target/core", "/sys/kernel/config/target/loopback",
          "/sys/class/uio")  # fmt: skip
    shell("qemu-img", "check", image)
    shell("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, folder / "raw")
    shell("cmp", f"--bytes={_DATA}", data, folder / "raw")
    shell("cmp", f"--bytes={_DATA}", f"--ignore-initial=0:{_DATA}", data, folder / "raw")
    status = runner.terminate()
    for number, text in enumerate([*logs, runner.log()], start=1):
        heading(f"tcmu-runner's log, start {number}")
        print(text, end="")
    heading("the kernel's log")
    # Without the continuation lines, which say of what device it is.
    print("\n".join(message.split("\n", 1)[0] for message in log.lines()))
    assert status == 0, f"tcmu-runner ended with status {status}"


def main() -> int:
    """Runs the session and undoes it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    wrong: list[str] = []
    with undone(wrong) as context, time_limit(_LIMIT * PATIENCE):
        session(context)
    return verdict(wrong, "passed", "FAILED", f"{implementation()} modules")


if __name__ == "__main__":
    sys.exit(main())

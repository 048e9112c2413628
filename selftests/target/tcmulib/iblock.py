# SPDX-License-Identifier: GPL-2.0
"""Devices of the kernel's own iblock backend, on top of a disk of the tests."""

import subprocess
from pathlib import Path

from ksftlib.ktap import Context, Skip

from .configfs import Device, Hba
from .scsi import Disk


def iblock(context: Context, disk: Disk) -> Device:
    """A device whose blocks are those of `disk`, enabled."""
    if not Path("/sys/module/target_core_iblock").is_dir():
        done = subprocess.run(["modprobe", "target_core_iblock"], check=False, timeout=60)
        if done.returncode:
            raise Skip("the kernel has no CONFIG_TCM_IBLOCK")
    device = Device(context, hba=Hba(context, "iblock"))
    device.control(f"udev_path={disk.block}")
    device.enable()
    return device

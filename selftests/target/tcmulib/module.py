# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading the modules."""

import ctypes
import os
import subprocess
from pathlib import Path

from .ktap import PATIENCE, equal

#: The backend's module.
MODULE = "target_core_user"

#: Its parameters.
PARAMETERS = Path("/sys/module") / MODULE / "parameters"


def loaded(name: str = MODULE) -> bool:
    """Whether the module is in the kernel."""
    return (Path("/sys/module") / name).is_dir()


def references() -> int:
    """Users of the backend's module."""
    return int((Path("/sys/module") / MODULE / "refcnt").read_text())


def modprobe(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """modprobe and its output."""
    return subprocess.run(
        ["modprobe", *arguments], capture_output=True, text=True, timeout=60 * PATIENCE, check=False
    )


def delete_module(name: str = MODULE) -> int:
    """Asks the kernel itself to unload, without waiting; returns 0 or an errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.delete_module(name.encode(), ctypes.c_uint(os.O_NONBLOCK))
    return ctypes.get_errno() if done else 0


def available() -> bool:
    """Whether modprobe knows the backend's module."""
    return not modprobe("--dry-run", "--ignore-install", "--quiet", MODULE).returncode


def reload(*parameters: str) -> None:
    """Takes the backend's module out and puts it back, with `parameters`."""
    done = modprobe("--remove", "--first-time", MODULE)
    equal((done.returncode, loaded()), (0, False), f"status of removing it ({done.stderr})")
    done = modprobe("--first-time", MODULE, *parameters)
    equal((done.returncode, loaded()), (0, True), f"status of loading it ({done.stderr})")

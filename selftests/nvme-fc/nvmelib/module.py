# SPDX-License-Identifier: GPL-2.0
"""The modules of NVMe over Fibre Channel, and how they are taken out and put back."""

import os
import subprocess

from ksftlib.ktap import PATIENCE, Context, Skip, equal
from ksftlib.module import Module, modprobe

#: Host and target: this project's or the stock ones.
HOST = Module("nvme_fc")
TARGET = Module("nvmet_fc")

#: The kernel's driver (LLDD) whose fabric is a function call.
FCLOOP = Module("nvme_fcloop")

#: The same with completions that come late, for tests.
LATE_FCLOOP = Module("nvme_fcloop_late")

#: Whose users are counted when memory is looked at.
COUNTED = ("nvme_fc", "nvmet_fc", "nvmet", "nvme_core", "nvme_fcloop")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, check=False, text=True, capture_output=True, timeout=60 * PATIENCE
    )


def load_for_tests(module: Module, *parameters: str) -> None:
    """Loads one that is made for tests; skips the test if this machine does not have it."""
    folder = os.environ.get("NVME_FC_TEST_MODULES")
    if folder:
        done = _run("insmod", f"{folder}/{module.name}.ko", *parameters)
    else:
        module.need()
        done = modprobe("--first-time", module.name, *parameters)
    equal((done.returncode, module.loaded()), (0, True), f"status of loading it ({done.stderr})")


def unload(module: Module) -> None:
    """Takes it out, if it is there and not built in."""
    if module.loaded() and not module.built_in():
        done = _run("rmmod", module.name)
        equal(done.returncode, 0, f"status of removing {module.name} ({done.stderr.strip()})")


def load_when_missing(context: Context, module: Module) -> None:
    """Has a module of the kernel until the end of the test; one that was there stays."""
    if module.loaded():
        return
    module.need()
    module.load()
    context.defer(lambda: unload(module))


def reload_transports() -> None:
    """Takes host and target out and puts them back; no LLDD is loaded."""
    for module in (HOST, TARGET):
        if module.built_in():
            raise Skip(f"{module.name} is part of the kernel image")
        module.reload()

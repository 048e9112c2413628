# SPDX-License-Identifier: GPL-2.0
"""The modules of NVMe over Fibre Channel, and how they are taken out and put back."""

from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import Context, Skip, equal, errno_name
from ksftlib.module import Module, TestModule
from ksftlib.wait import Task

#: Host and target: this project's or the stock ones.
HOST = Module("nvme_fc")
TARGET = Module("nvmet_fc")

#: The kernel's driver (LLDD) whose fabric is a function call.
FCLOOP = Module("nvme_fcloop")

#: The same with completions that come late, for tests.
LATE_FCLOOP = TestModule("nvme_fcloop_late", "NVME_FC_LATE_FCLOOP")

#: Seconds for unloading a module.
_LIMIT = 60.0

#: All that is loaded on top of the core of NVMe, and the core, in the order of unloading.
_STACK = [Module(name) for name in ("nvmet_fc", "nvme_fc", "nvmet", "nvme_fabrics", "nvme_core")]

#: Whose users are counted when memory is looked at.
COUNTED = (
    "nvme_fc", "nvmet_fc", "nvmet", "nvme_core", "nvme_fcloop", "nvme_fcloop_late",
)  # fmt: skip


def unload(module: Module) -> None:
    """Takes it out, if it is there and not built in."""
    if module.loaded() and not module.built_in():
        # modprobe would take out what it needs as well. It may block in the kernel.
        own = Context()
        try:
            number = Task(own, module.delete, f"unloading {module.name}").wait(_LIMIT)
        finally:
            own.clean_up()
        equal((errno_name(number), module.loaded()), ("0", False), f"unloading {module.name}")


def load_when_missing(context: Context, module: Module) -> None:
    """Has a module of the kernel until the end of the test; one that was there stays."""
    if module.loaded():
        return
    module.need()
    module.load()
    context.defer(lambda: unload(module))


def need_modules(*modules: Module) -> None:
    """Skips the test if one of them, which it unloads, is part of the kernel image."""
    for module in modules:
        if module.built_in():
            raise Skip(f"{module.name} is part of the kernel image")


def reload_transports() -> None:
    """Takes host and target out and puts them back; no LLDD is loaded."""
    need_modules(HOST, TARGET)
    for module in (HOST, TARGET):
        module.reload()


def without_multipath(context: Context) -> None:
    """Until the end of the test each controller has disks of its own: an error is seen at once.

    Otherwise a disk may have several paths, and waits for a controller when one of them fails.
    """
    parameter = Path("/sys/module/nvme_core/parameters/multipath")
    if not parameter.exists() or read(parameter) == "N":
        return
    _reload_core("multipath=N")
    context.defer(_reload_core)


def _reload_core(*parameters: str) -> None:
    loaded = [module for module in _STACK if module.loaded()]
    need_modules(*loaded)
    for module in loaded:
        unload(module)
    for module in reversed(loaded):
        module.load(*(parameters if module.name == "nvme_core" else ()))

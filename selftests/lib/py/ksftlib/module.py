# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading modules."""

import ctypes
import os
import subprocess
from pathlib import Path

from .ktap import PATIENCE, Skip, equal


def modprobe(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """modprobe and its output."""
    return subprocess.run(
        ["modprobe", *arguments], capture_output=True, text=True, timeout=60 * PATIENCE, check=False
    )


class Module:
    """A module of the kernel, which may be built in as well, or not be there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = Path("/sys/module") / name
        self.parameters = self._folder / "parameters"

    def loaded(self) -> bool:
        """Whether it is in the kernel."""
        return self._folder.is_dir() or self.built_in()

    def built_in(self) -> bool:
        """Whether it is part of the kernel image, where it may have no folder in sysfs."""
        builtin = Path("/lib/modules") / os.uname().release / "modules.builtin"
        try:
            lines = builtin.read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        return any(Path(line).stem.replace("-", "_") == self.name for line in lines)

    def references(self) -> int:
        """Its users."""
        return int((self._folder / "refcnt").read_text())

    def holders(self) -> list[str]:
        """The modules that use it."""
        return [path.name for path in (self._folder / "holders").iterdir()]

    def available(self) -> bool:
        """Whether modprobe knows it."""
        return not modprobe("--dry-run", "--ignore-install", "--quiet", self.name).returncode

    def need(self) -> None:
        """Skips the test unless modprobe knows it."""
        if not self.available():
            raise Skip(f"modprobe does not know {self.name}")

    def delete(self) -> int:
        """Asks the kernel itself to unload it, without waiting; returns 0 or an errno."""
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.delete_module(self.name.encode(), ctypes.c_uint(os.O_NONBLOCK))
        return ctypes.get_errno() if done else 0

    def load(self, *parameters: str) -> None:
        """Puts it into the kernel, where it is not yet."""
        done = modprobe("--first-time", self.name, *parameters)
        equal((done.returncode, self.loaded()), (0, True), f"status of loading it ({done.stderr})")

    def reload(self, *parameters: str) -> None:
        """Takes it out and puts it back, with `parameters`."""
        done = modprobe("--remove", "--first-time", self.name)
        equal(
            (done.returncode, self.loaded()), (0, False), f"status of removing it ({done.stderr})"
        )
        self.load(*parameters)


class TestModule(Module):
    """A module of this project that a test loads, beside either implementation."""

    def __init__(self, name: str, symbol: str) -> None:
        """`symbol` of Kconfig builds it."""
        super().__init__(name)
        self._symbol = symbol

    def insert(self, seconds: float = 60.0, *parameters: str) -> None:
        """Loads it, which takes at most `seconds`; skips the test where it is not installed."""
        # Where a kernel runs that has no place for installed ones.
        folder = os.environ.get("RUST_MODULES")
        name = self.name
        load = ["insmod", f"{folder}/{name}.ko"] if folder else ["modprobe", name]
        done = subprocess.run(
            [*load, *parameters], check=False, text=True, capture_output=True,
            timeout=seconds * PATIENCE,
        )  # fmt: skip
        if done.returncode and not self.available() and not folder:
            raise Skip(f"{name} is not installed (CONFIG_{self._symbol})")
        equal(done.returncode, 0, f"status of loading {name} ({done.stderr.strip()})")

    def remove(self) -> None:
        """Unloads it, if it is there."""
        if self.loaded():
            done = subprocess.run(
                ["rmmod", self.name], check=False, text=True, capture_output=True,
                timeout=60 * PATIENCE,
            )  # fmt: skip
            equal(done.returncode, 0, f"status of unloading {self.name} ({done.stderr.strip()})")

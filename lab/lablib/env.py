# SPDX-License-Identifier: GPL-2.0
"""Puts the parts together: from a bare machine to kernel, modules and virtual machine."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import kconfig, kernel, project, sources, subsystem, tools, unpack
from .base import Cache, LabError
from .kernel import Kernel
from .sources import KernelSource, PrivateApt


def flavour_from_environment() -> str:
    """``FLAVOUR=``: fast unless it says otherwise; LabError for an unknown one."""
    flavour = os.environ.get("FLAVOUR") or "fast"
    if flavour not in kconfig.FLAVOURS:
        raise LabError(f"FLAVOUR is '{flavour}'; it must be one of: {', '.join(kconfig.FLAVOURS)}")
    return flavour


def implementation_from_environment() -> str:
    """``IMPL=``: ``rust`` (this project) unless it says ``c`` (the stock modules)."""
    impl = os.environ.get("IMPL") or "rust"
    if impl not in ("rust", "c"):
        raise LabError(f"IMPL is '{impl}'; it must be 'rust' or 'c'")
    return impl


@dataclass
class Lab:
    """What the steps share. Each method builds what it needs and is cheap when nothing is missing."""

    cache: Cache
    flavour: str

    @classmethod
    def from_environment(cls) -> "Lab":
        """Settings from XDG_CACHE_HOME and FLAVOUR."""
        return cls(Cache.from_environment(), flavour_from_environment())

    def prepare(self) -> tuple[KernelSource, Path]:
        """Packages, tools and sources, as far as possible at the same time.

        Returns the kernel source and the Rust library sources.
        """
        tools.ensure_packages(self.cache)
        tools.rustc_version()
        with ThreadPoolExecutor() as pool:
            apt = PrivateApt(self.cache)
            built = pool.submit(tools.bindgen, self.cache)
            vng = pool.submit(tools.virtme_ng, self.cache)
            unpacked = pool.submit(unpack.ensure_all, self.cache, subsystem.everything())
            # One after the other: both use the same package lists.
            kernel_source = sources.kernel(self.cache, apt)
            rust_library = sources.rust_library(self.cache, apt)
            built.result()
            vng.result()
            unpacked.result()
        return kernel_source, rust_library

    def kernel(self) -> Kernel:
        """The kernel of this flavour."""
        kernel_source, rust_library = self.prepare()
        return kernel.ensure(self.cache, kernel_source, rust_library, self.flavour)

    def vng(self) -> Path:
        """The virtme-ng command."""
        return tools.virtme_ng(self.cache)

    def variables(self) -> dict[str, str]:
        """What ``make env`` prints."""
        built = self.kernel()
        return {
            "KDIR": str(built.source),
            "KBUILD": str(built.build),
            "KERNEL": str(built.image),
            "MODULES": str(built.modules),
            "RUST_MODULES": str(project.ensure(self.cache, built)),
            "VNG": str(self.vng()),
        }

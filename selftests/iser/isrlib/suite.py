# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on iSER."""

import shutil
from collections.abc import Mapping
from types import MappingProxyType

from ksftlib import impl

from .impl import CRATE
from .module import ISER

#: What the tests call, and the Debian packages that have it.
_PROGRAMS = {"ip": "iproute2", "rdma": "iproute2"}

#: The same of those that log in.
LOGIN_PROGRAMS = {"iscsid": "open-iscsi", "iscsiadm": "open-iscsi", "fio": "fio"}


class Suite(impl.Suite):
    """Tests that need ib_iser and the tools of RDMA."""

    def __init__(self, programs: Mapping[str, str] = MappingProxyType({})) -> None:
        """`programs` are others that they call, and their packages."""
        super().__init__(CRATE)
        self._programs = {**_PROGRAMS, **programs}

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        for program, package in self._programs.items():
            if shutil.which(program) is None:
                return f"{program} is not in PATH (Debian package {package})"
        if not ISER.loaded():
            return f"{ISER.name} is not loaded"
        return ""

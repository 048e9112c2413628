# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on NFS over RDMA."""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ksftlib import ktap
from ksftlib.ktap import DEFAULT_LIMIT, Context, Skip

from . import server
from .impl import implementation, known_difference
from .module import RPCRDMA

_Test = Callable[[Context], object]

#: What the tests call, and the Debian packages that have it.
_PROGRAMS = {
    "ip": "iproute2", "tc": "iproute2", "rdma": "iproute2", "nsenter": "util-linux",
    "exportfs": "nfs-kernel-server", "rpc.mountd": "nfs-kernel-server",
    "nfsdcld": "nfs-kernel-server", "mount.nfs4": "nfs-common",
}  # fmt: skip


class Suite(ktap.Suite):
    """Tests that need rpcrdma, an NFS server of their own and its tools."""

    def test(
        self, name: str, limit: float = DEFAULT_LIMIT, c_wedges: bool = False
    ) -> Callable[[_Test], _Test]:
        """Registers a test that must end within `limit` seconds.

        With `c_wedges`, running it would leave the stock C module unusable: it is skipped
        there, with the reason from c-differences.txt.
        """
        register = super().test(name, limit)
        if not c_wedges:
            return register

        def register_spared(function: _Test) -> _Test:
            register(partial(_unless_c, name, function))
            return function

        return register_spared

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        if lacking := super().missing():
            return lacking
        for program, package in _PROGRAMS.items():
            if shutil.which(program) is None:
                return f"{program} is not in PATH (Debian package {package})"
        if not RPCRDMA.loaded():
            return f"{RPCRDMA.name} is not loaded"
        return server.missing()


def _unless_c(name: str, function: _Test, context: Context) -> None:
    # Set in a machine that is there to be left unusable.
    if os.environ.get("KSFT_C_WEDGES") != "run" and implementation() == "c":
        reason = known_difference(Path(sys.argv[0]).name, name)
        assert reason, "c-differences.txt has no line for this test"
        raise Skip(reason)
    function(context)

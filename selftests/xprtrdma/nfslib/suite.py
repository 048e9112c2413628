# SPDX-License-Identifier: GPL-2.0
"""The tests of one program, on NFS over RDMA."""

import shutil

from ksftlib import impl

from . import server
from .impl import CRATE
from .module import RPCRDMA

#: What the tests call, and the Debian packages that have it.
_PROGRAMS = {
    "ip": "iproute2", "tc": "iproute2", "rdma": "iproute2", "nsenter": "util-linux",
    "exportfs": "nfs-kernel-server", "rpc.mountd": "nfs-kernel-server",
    "nfsdcld": "nfs-kernel-server", "mount.nfs4": "nfs-common",
}  # fmt: skip


class Suite(impl.Suite):
    """Tests that need rpcrdma, an NFS server of their own and its tools."""

    def __init__(self) -> None:
        super().__init__(CRATE)

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

# SPDX-License-Identifier: GPL-2.0
"""The modules of NFS over RDMA."""

from ksftlib.module import Module

#: Client and server side of RPC over RDMA are one module.
RPCRDMA = Module("rpcrdma")

#: Whose users are counted when memory is looked at.
COUNTED = ("rpcrdma", "sunrpc", "nfsv4", "nfs")

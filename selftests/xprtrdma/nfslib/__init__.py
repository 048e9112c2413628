# SPDX-License-Identifier: GPL-2.0
"""An NFS client and server of one machine with RDMA between them, for the tests."""

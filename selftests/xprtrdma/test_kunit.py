#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of Send contexts, on the kernel's own atomics and threads."""

from ksftlib.kunit import KunitModule
from nfslib.impl import CRATE

suites = KunitModule(CRATE, "rpcrdma_sendctx_kunit", "SUNRPC_XPRT_RDMA_SENDCTX_KUNIT_TEST")
suites.test("the ring in order, full and not", "sendctx_ring", 6)
suites.test("completions of Sends that are not posted", "sendctx_completions", 5)
suites.test("closing in every state", "sendctx_close", 3)
suites.test("which Sends are signalled", "sendctx_signal", 6)
suites.test("both ends at once, with a sender that sleeps", "sendctx_race", 4)

if __name__ == "__main__":
    suites.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of connections."""

from isrlib.impl import CRATE
from ksftlib.kunit import KunitModule

suites = KunitModule(CRATE, "ib_iser_conn_kunit", "INFINIBAND_ISER_CONN_KUNIT_TEST")
suites.test("connections from their beginning to their end", "iser_conn_sequences", 10)
suites.test("all states that a connection can come to", "iser_conn_states", 2)
suites.test("two threads that find that a connection has failed", "iser_conn_failure", 2)

if __name__ == "__main__":
    suites.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of the gates of LLDD ports, on the kernel's own atomics and threads."""

from ksftlib.kunit import KunitModule
from nvmelib.gate import CRATE

suites = KunitModule(CRATE, "nvme_fc_gate_kunit", "NVME_FC_GATE_KUNIT_TEST")
suites.test("the gate of one port", "fcgate_gate", 4)
suites.test("the gates of both ports, and what holds a use of them", "fcgate_ports", 6)
suites.test("controllers without port, and memory behind objects", "fcgate_connectivity", 3)
suites.test("two threads at once", "fcgate_race", 4)

if __name__ == "__main__":
    suites.run()

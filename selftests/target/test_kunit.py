#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of tcmu's logic, on the kernel's own memory."""

from ksftlib.kunit import KunitModule
from tcmulib.impl import CRATE

suites = KunitModule(CRATE, "target_core_user_kunit", "TCM_USER2_KUNIT_TEST")
suites.test("arrays that grow from slab memory into pages", "tcmu_table", 4)
suites.test("the command ring", "tcmu_ring", 4)
suites.test("command ids", "tcmu_ids", 3)
suites.test("the data area", "tcmu_data_area", 4)
suites.test("queues of commands and notifications", "tcmu_queues", 4)

if __name__ == "__main__":
    suites.run()

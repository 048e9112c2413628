#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of target queues, with the kernel's own locks and threads."""

from ksftlib.kunit import KunitModule
from nvmelib.rig_lldd import CRATE

suites = KunitModule(CRATE, "nvmet_fc_queue_kunit", "NVMET_FC_QUEUE_KUNIT_TEST")
suites.test("which commands get a job, wait, or are refused", "nvmet_fc_deferral", 7)
suites.test("aborts in all states", "nvmet_fc_abort", 5)
suites.test("queues that are deleted", "nvmet_fc_close", 4)
suites.test("two threads at one queue", "nvmet_fc_race", 4)

if __name__ == "__main__":
    suites.run()

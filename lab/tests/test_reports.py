# SPDX-License-Identifier: GPL-2.0
"""Reports of kernel bugs on a guest's console."""

import unittest

from lablib.vm import reports_in as reports

#: One line of each kind, as the kernel prints it.
BAD = (
    "[    1.0] BUG: KASAN: slab-use-after-free in tcmu_foo+0x1/0x2 [target_core_user]",
    "[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[    1.0] BUG: sleeping function called from invalid context at mm/slab.h:1",
    "[    1.0] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!",
    "[    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [kworker/0:1:10]",
    "[    1.0] kernel BUG at rust/helpers/bug.c:7!",
    "[    1.0] WARNING: CPU: 0 PID: 1 at drivers/target/target_core_tmr.c:1 foo+0x1/0x2",
    "[    1.0] WARNING: drivers/target/target_core_user.c:1 at foo+0x1/0x2, CPU#0: sh/1",
    "[    1.0] WARNING: possible circular locking dependency detected",
    "[    1.0] WARNING: suspicious RCU usage",
    "[    1.0] Oops: general protection fault, probably for non-canonical address 0x1: 0000",
    "[    1.0] Oops: 0002 [#1] SMP KASAN",
    "[    1.0] Kernel panic - not syncing: Fatal exception",
    "[    1.0] INFO: task kworker/0:1:10 blocked for more than 60 seconds.",
    "[    1.0] INFO: task sh:10 blocked on a mutex likely owned by task sh:11.",
    "[    1.0] INFO: trying to register non-static key.",
    "[    1.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "[    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[    1.0] UBSAN: array-index-out-of-bounds in drivers/target/foo.c:1:2",
    "[    1.0] kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "[    1.0] ODEBUG: free active (active state 0) object: 1 object type: timer_list",
    "[    1.0] list_del corruption. prev->next should be 1, but was 2",
    "[    1.0] refcount_t: underflow; use-after-free.",
    "[    1.0] CFI failure at foo+0x1/0x2 (target: bar+0x0/0x2; expected type: 0x12345678)",
    "[    1.0] rust_kernel: panicked at drivers/target/tcmu/ring.rs:1:2:",
)

GOOD = """[    0.0] Linux version 7.3.4 (builder@machine)
[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on
[    0.1] [Firmware Bug]: TSC_DEADLINE disabled due to Errata
[    0.2] rcu: Preemptible hierarchical RCU implementation.
[    0.2] CFI: Using standard kCFI
[    0.3] kmemleak: Kernel memory leak detector initialized
[    0.4] TARGET_CORE[loopback]: Expected Transfer Length: 4096 does not match
[    0.5] ABORT_TASK: Found referenced loopback task_tag: 5
[    0.6] debugging is on, warnings are shown
"""


class ReportsTest(unittest.TestCase):
    """Each kind of report is found; ordinary lines are not."""

    def test_each_kind(self) -> None:
        for line in BAD:
            with self.subTest(line=line):
                self.assertEqual(reports(GOOD + line + "\n" + GOOD), [line])

    def test_ordinary_lines(self) -> None:
        self.assertEqual(reports(GOOD), [])

    def test_order_is_kept(self) -> None:
        self.assertEqual(reports("\n".join([BAD[3], "x", BAD[1]])), [BAD[3], BAD[1]])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""When a guest's kernel reports what does not move, by how slow the machine is."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from lablib.paths import LAB

HUNG_TASK = "proc/sys/kernel/hung_task_timeout_secs"
SOFT_LOCKUP = "proc/sys/kernel/watchdog_thresh"
WORKQUEUE = "sys/module/workqueue/parameters/watchdog_thresh"
RCU = "sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"

#: What these are when the kernel has booted.
DEFAULTS = {HUNG_TASK: "120", SOFT_LOCKUP: "10", WORKQUEUE: "30", RCU: "21"}


class LimitsTest(unittest.TestCase):
    """The script on files that are not the kernel's."""

    def limits(
        self, uptime: str, flavour: str = "fast", files: "dict[str, str] | None" = None
    ) -> dict[str, str]:
        """What the files say after the script ran at `uptime`, and LAB_SLOWNESS."""
        files = DEFAULTS if files is None else files
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            (root / "proc/sys/kernel").mkdir(parents=True)
            (root / "proc/uptime").write_text(f"{uptime} 7.50\n", encoding="ascii")
            for file, text in files.items():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(f"{text}\n", encoding="ascii")
            done = subprocess.run(
                ["bash", "-euc", '. "$1"; lab_limits "$2"; printenv LAB_SLOWNESS', "bash",
                 str(LAB / "guest-limits.sh"), name],
                env={"PATH": "/usr/bin:/bin", "FLAVOUR": flavour},
                check=True, text=True, capture_output=True,
            )  # fmt: skip
            found = {file: (root / file).read_text(encoding="ascii").strip() for file in files}
        return {**found, "slowness": done.stdout.strip()}

    def test_usual_machine(self) -> None:
        for uptime in ("0.35", "4.11", "19.99"):
            with self.subTest(uptime):
                self.assertEqual(
                    self.limits(uptime), {**DEFAULTS, HUNG_TASK: "60", "slowness": "1"}
                )

    def test_slow_machine(self) -> None:
        self.assertEqual(
            self.limits("40.02"),
            {HUNG_TASK: "240", SOFT_LOCKUP: "40", WORKQUEUE: "120", RCU: "84", "slowness": "4"},
        )

    def test_no_more_than_the_kernel_takes(self) -> None:
        # 60 is the most for soft lock-ups, 300 for RCU.
        found = self.limits("1000")
        self.assertEqual((found[SOFT_LOCKUP], found[RCU]), ("60", "126"))

    def test_the_debug_kernel_boots_slowly_everywhere(self) -> None:
        self.assertEqual(self.limits("40.02", "debug")["slowness"], "1")
        self.assertEqual(self.limits("80.02", "debug")["slowness"], "2")

    def test_what_the_kernel_does_not_have_or_do(self) -> None:
        found = self.limits("40.02", files={HUNG_TASK: "120", WORKQUEUE: "0"})
        self.assertEqual(found, {HUNG_TASK: "240", WORKQUEUE: "0", "slowness": "4"})


if __name__ == "__main__":
    unittest.main()

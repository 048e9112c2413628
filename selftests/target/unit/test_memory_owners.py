# SPDX-License-Identifier: GPL-2.0
"""Whose objects count when the memory of commands is measured, and the comparison."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stress_memory import is_own  # noqa: E402
from tcmulib.host.memory import compare  # noqa: E402


class Owners(unittest.TestCase):
    """What is the backend's, by the name of the caller."""

    def test_whose_objects_count(self) -> None:
        for caller in ("tcmu_queue_cmd [target_core_user]", "xas_create",
                       "kvrealloc_node_align_noprof"):  # fmt: skip
            self.assertTrue(is_own(caller), caller)
        for caller in ("bio_alloc", "scsi_init_command", "__se_sess [target_core_mod]"):
            self.assertFalse(is_own(caller), caller)


class Compare(unittest.TestCase):
    """The table of both implementations."""

    @staticmethod
    def rows(*own: int) -> list[dict[str, int]]:
        """Measurements of 2 commands each."""
        return [{"commands": 2, "size": 4096, "own": bytes_, "rest": 0} for bytes_ in own]

    def test_rows_above_are_counted(self) -> None:
        lines = compare(self.rows(100, 300, 0), self.rows(200, 200, 0))
        self.assertEqual(lines[-1], "verdict: Rust needs more than C in 1 of 3 rows")
        self.assertIn("0.50", lines[3])
        self.assertTrue(lines[5].endswith("-"), lines[5])

    def test_other_rows_are_no_comparison(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "not measured alike"):
            compare(self.rows(1), [{"commands": 3, "size": 4096, "own": 1, "rest": 0}])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Tests of the judgement on memory counters: a leak must be found, noise must not."""

import random
import sys
import unittest
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "py"))

from ksftlib import memory  # noqa: E402
from ksftlib.memory import Sample  # noqa: E402

#: As in a run of 1,000 cycles.
MARKS = (100, 250, 400, 550, 700, 850, 1000)


def series(name: str, value: Callable[[int], float]) -> list[Sample]:
    """Samples of one counter."""
    return [Sample(mark, {name: round(value(mark))}) for mark in MARKS]


class Judgement(unittest.TestCase):
    """What counts as growing."""

    def test_one_object_in_ten_cycles_is_found_in_noise(self) -> None:
        for seed in range(50):
            noise = random.Random(seed)
            samples = series("slab kmalloc-64", lambda c: 5000 + c / 10 + noise.randint(-8, 8))
            self.assertEqual(memory.growing(samples), ["slab kmalloc-64"], f"seed {seed}")

    def test_noise_alone_is_flat(self) -> None:
        for seed in range(50):
            noise = random.Random(seed)
            samples = series("slab kmalloc-64", lambda c: 5000 + noise.randint(-8, 8))
            self.assertEqual(memory.growing(samples), [], f"seed {seed}")

    def test_pages_are_found(self) -> None:
        noise = random.Random(1)
        # A page in each tenth cycle.
        samples = series("other pages KiB", lambda c: 7000 + 0.4 * c + noise.randint(-60, 60))
        self.assertEqual(memory.growing(samples), ["other pages KiB"])
        samples = series("other pages KiB", lambda c: 7000 + noise.randint(-60, 60))
        self.assertEqual(memory.growing(samples), [])

    def test_a_vmalloc_area_in_fifty_cycles_is_found(self) -> None:
        samples = series("vmalloc areas", lambda c: 50 + c // 50)
        self.assertEqual(memory.growing(samples), ["vmalloc areas"])

    def test_one_user_of_a_module_is_too_much(self) -> None:
        samples = series("users of target_core_user", lambda c: c // 1000)
        self.assertEqual(memory.growing(samples), ["users of target_core_user"])
        samples = series("users of target_core_user", lambda c: 1)
        self.assertEqual(memory.growing(samples), [])

    def test_few_cycles_need_more_growth(self) -> None:
        few = [Sample(cycle, {"slab a": 90 + cycle // 2}) for cycle in (20, 40, 60)]
        self.assertEqual(memory.growing(few), [])
        one_each = [Sample(cycle, {"slab a": 100 + cycle}) for cycle in (20, 40, 60)]
        self.assertEqual(memory.growing(one_each), ["slab a"])

    def test_a_cache_that_appears_counts_from_zero(self) -> None:
        samples = [Sample(0, {"slab a": 1}), Sample(100, {"slab a": 1, "slab b": 500})]
        self.assertEqual(memory.growing(samples), ["slab b"])

    def test_shrinking_is_no_leak(self) -> None:
        samples = series("slab a", lambda c: 5000 - c)
        self.assertEqual(memory.growing(samples), [])

    def test_samples_of_one_cycle_have_no_trend(self) -> None:
        with self.assertRaises(AssertionError):
            memory.growing([Sample(1, {}), Sample(1, {})])

    def test_the_table_marks_what_grows(self) -> None:
        samples = [Sample(c, {"slab a": 5 * c, "slab b": 7, "vmalloc areas": 3}) for c in MARKS]
        lines = memory.table(samples, "cycle")
        self.assertEqual([line.split()[1] for line in lines if line.endswith("GROWS")], ["a"])
        self.assertIn("(1 slab caches that moved by less than 3 objects)", lines)


class Watching(unittest.TestCase):
    """When samples are taken."""

    def setUp(self) -> None:
        self.before = memory.sample
        self.leaked = 0
        memory.sample = self.take  # type: ignore[assignment]

    def tearDown(self) -> None:
        memory.sample = self.before  # type: ignore[assignment]

    def take(self, cycle: int, _modules: Sequence[str] = ()) -> Sample:
        """In place of a sample of the kernel."""
        return Sample(cycle, {"slab a": self.leaked})

    def leak(self, _number: int) -> None:
        """A step that leaves an object behind."""
        self.leaked += 1

    def test_a_step_that_leaks_is_found(self) -> None:
        samples = memory.watch(self.leak, (10, 60, 110))
        self.assertEqual([one.counters["slab a"] for one in samples], [10, 60, 110])
        self.assertEqual(memory.growing(samples), ["slab a"])

    def test_a_step_that_does_not_is_flat(self) -> None:
        called: list[int] = []
        samples = memory.watch(called.append, (2, 5))
        self.assertEqual(called, [0, 1, 2, 3, 4])
        self.assertEqual(memory.growing(samples), [])


class Parsing(unittest.TestCase):
    """Files of /proc."""

    def test_slabinfo(self) -> None:
        text = (
            "slabinfo - version: 2.1\n"
            "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"
            "kmalloc-64          1234   1280     64   64    1 : tunables    0    0    0\n"
        )
        self.assertEqual(memory.parse_slabinfo(text), {"kmalloc-64": 1234})

    def test_pages_that_no_counter_explains(self) -> None:
        meminfo = memory.parse_meminfo(
            "MemTotal:  1000 kB\nMemFree:  500 kB\nCached:  100 kB\nSUnreclaim:  50 kB\n"
        )
        pcp = memory.parse_pcp(
            "Node 0, zone    DMA32\n  pagesets\n    cpu: 0\n              count:    10\n"
            "              high:     14\n    cpu: 1\n              count:    5\n"
        )
        self.assertEqual(pcp, 15)
        page = memory._PAGE_KIB
        self.assertEqual(memory.other_pages(meminfo, pcp), 1000 - 500 - 15 * page - 150)


class Vmalloc(unittest.TestCase):
    """Pages behind vmalloc areas."""

    def test_stacks_do_not_count(self) -> None:
        text = (
            "0xffffc90000000000-0xffffc90000005000   20480 _RNvXs0_tcmu+0x10/0x20 pages=4 vmalloc\n"
            "0xffffc90000008000-0xffffc9000000d000   20480 dup_task_struct+0x5d/0x1b0 pages=4 vmalloc\n"
            "0xffffc90000010000-0xffffc90000015000   20480 alloc_thread_stack+0x5d/0xb0 pages=4\n"
            "0xffffc90000018000-0xffffc9000001a000    8192 acpi_os_map_iomem+0x1b2/0x1d0 ioremap\n"
        )
        self.assertEqual(memory.parse_vmallocinfo(text), 4 * 4096)


if __name__ == "__main__":
    unittest.main()

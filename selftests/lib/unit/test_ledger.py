# SPDX-License-Identifier: GPL-2.0
"""Tests of what is made of the kmem trace events."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "py"))

from ksftlib.ledger import parse  # noqa: E402

_TRACE = """\
# tracer: nop
 tcmud-81 [000] ..... 10: kmem_cache_alloc: call_site=tcmu_queue_cmd+0x45/0x3f0 [target_core_user] \
ptr=00000000aa name=tcmu_cmd_cache bytes_req=80 bytes_alloc=80 gfp_flags=GFP_NOIO node=-1 \
accounted=false
 tcmud-81 [000] ..... 11: kmalloc: call_site=kvrealloc_node_align_noprof+0x5d/0x1b0 \
ptr=00000000bb bytes_req=3000 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false
 tcmud-81 [001] ..... 12: kmalloc: call_site=bio_alloc+0x1/0x2 ptr=00000000cc bytes_req=100 \
bytes_alloc=128 gfp_flags=GFP_KERNEL node=-1 accounted=false
 tcmud-81 [001] ..... 13: kfree: call_site=bio_free+0x1/0x2 ptr=00000000cc
 tcmud-81 [001] ..... 14: kmem_cache_free: call_site=tcmu_free_cmd+0x2/0x9 [target_core_user] \
ptr=00000000dd name=tcmu_cmd_cache
 tcmud-81 [001] ..... 15: kmem_cache_alloc: call_site=tcmu_queue_cmd+0x45/0x3f0 [target_core_user] \
ptr=00000000ee name=tcmu_cmd_cache bytes_req=80 bytes_alloc=80 gfp_flags=GFP_NOIO node=-1 \
accounted=false
"""


class Ledger(unittest.TestCase):
    """What is left of a trace."""

    def test_objects_that_are_left_by_caller(self) -> None:
        self.assertEqual(
            parse(_TRACE.splitlines()),
            {
                "tcmu_queue_cmd [target_core_user]": [80, 80],
                "kvrealloc_node_align_noprof": [4096],
            },
        )

    def test_an_address_that_is_used_again_counts_once(self) -> None:
        line = " a-1 [000] ..... 1: kmalloc: call_site=f+0x1/0x2 ptr=00000000aa bytes_req=1 " \
            "bytes_alloc=8 gfp_flags=0 node=-1 accounted=false"  # fmt: skip
        freed = " a-1 [000] ..... 2: kfree: call_site=g+0x1/0x2 ptr=00000000aa"
        self.assertEqual(parse([line, freed, line]), {"f": [8]})


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""The lines of /proc/self/mountstats."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nfslib.counters import transports  # noqa: E402

_COUNTERS = " ".join(str(number) for number in range(27))

MOUNTSTATS = f"""device none mounted on /run with fstype tmpfs
device 10.8.8.2:/ mounted on /run/a with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.1,proto=rdma
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\trdma {_COUNTERS}
\txprt:\trdma {_COUNTERS.replace("25", "7")}
\tper-op statistics
\t        READ: 12 12 0 2688 51216 0 30 31 0
device 10.8.8.2:/ mounted on /run/b with fstype nfs4 statvers=1.1
\txprt:\ttcp 1 2 3
"""


class Transports(unittest.TestCase):
    """Which transports are found, and what of them."""

    def test_those_of_one_mount(self) -> None:
        first, second = transports(MOUNTSTATS, "/run/a")
        self.assertEqual((first.connect_count, first.sends, first.recvs), (2, 5, 6))
        self.assertEqual((first.pullup_copy, first.failed_marshal), (15, 18))
        self.assertEqual((first.empty_sendctx_q, second.empty_sendctx_q), (25, 7))

    def test_none(self) -> None:
        self.assertEqual(transports(MOUNTSTATS, "/run/b"), [])
        self.assertEqual(transports(MOUNTSTATS, "/run"), [])

    def test_another_number_of_counters(self) -> None:
        with self.assertRaisesRegex(AssertionError, "28 counters"):
            transports(MOUNTSTATS.replace(" 26\n", " 26 27\n"), "/run/a")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Task management in the target core."""

import time
from pathlib import Path

from ksftlib.stacks import waiting_in
from ksftlib.wait import until


def functions_wait(count: int = 1) -> None:
    """Waits until so many task management functions wait for commands.

    That an initiator has sent one does not say that the target has begun with it.
    """
    if not Path("/proc/self/stack").exists():
        time.sleep(1.0)
        return
    # A reset may look from time to time instead.
    until(
        lambda: len(waiting_in("target_put_cmd_and_wait"))
        + len(waiting_in("core_tmr_lun_reset", without="target_put_cmd_and_wait")) >= count,
        f"{count} functions to wait",
    )  # fmt: skip

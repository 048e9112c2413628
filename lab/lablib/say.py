# SPDX-License-Identifier: GPL-2.0
"""Progress on standard error; standard output is for results."""

import sys
import threading
import time

_START = time.monotonic()
_LOCK = threading.Lock()


def say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    with _LOCK:
        print(f"[{time.monotonic() - _START:6.1f}] {text}", file=sys.stderr, flush=True)

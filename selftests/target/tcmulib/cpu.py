# SPDX-License-Identifier: GPL-2.0
"""On which CPU something runs, and a CPU on which nothing else does."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from .configfs import set_for_test
from .ktap import Context, Skip


def two_cpus() -> tuple[int, int]:
    """Two CPUs; skips the test on a machine with one."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("needs two CPUs")
    return cpus[0], cpus[1]


@contextlib.contextmanager
def running_on(cpu: int) -> Iterator[None]:
    """This process, and what it forks inside, runs on `cpu` alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Occupied:
    """Keeps `cpu` from running anything of lower priority, kernel threads too, until released."""

    def __init__(self, context: Context, cpu: int) -> None:
        # Both leave a part of each second to others.
        set_for_test(context, Path("/proc/sys/kernel/sched_rt_runtime_us"), "-1")
        server = Path(f"/sys/kernel/debug/sched/fair_server/cpu{cpu}/runtime")
        if server.exists():
            set_for_test(context, server, "0")
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                os.sched_setaffinity(0, {cpu})
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
                os.write(writer, b"x")
                while True:
                    pass
            finally:
                os._exit(0)
        os.close(writer)
        self._open = True
        context.defer(self.release)
        started = os.read(reader, 1)
        os.close(reader)
        assert started, f"CPU {cpu} could not be occupied"

    def release(self) -> None:
        """Others run again."""
        if self._open:
            self._open = False
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

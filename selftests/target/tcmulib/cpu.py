# SPDX-License-Identifier: GPL-2.0
"""On which CPU something runs, and a CPU on which nothing else does."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
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
    """Keeps `cpu` from running anything of lower priority, kernel threads too, until released.

    `other` goes on with everything that is not bound to a CPU.
    """

    def __init__(self, context: Context, cpu: int, other: int) -> None:
        # Work items without a CPU of their own, and timers of an idle CPU, would come here too.
        unbound = Path("/sys/devices/virtual/workqueue/cpumask")
        if unbound.exists():
            set_for_test(context, unbound, f"{1 << other:x}")
        # Both leave a part of each second to others.
        set_for_test(context, Path("/proc/sys/kernel/sched_rt_runtime_us"), "-1")
        server = Path(f"/sys/kernel/debug/sched/fair_server/cpu{cpu}/runtime")
        if server.exists():
            set_for_test(context, server, "0")
        self._pids = [
            _spin(other, lambda: os.nice(19)),
            _spin(cpu, lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))),
        ]
        context.defer(self.release)

    def release(self) -> None:
        """Others run again."""
        while self._pids:
            pid = self._pids.pop()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _spin(cpu: int, prepare: Callable[[], object]) -> int:
    """A process that keeps `cpu` busy, once it does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.sched_setaffinity(0, {cpu})
            prepare()
            os.write(writer, b"x")
            while True:
                pass
        finally:
            os._exit(0)
    os.close(writer)
    started = os.read(reader, 1)
    os.close(reader)
    assert started, f"CPU {cpu} could not be occupied"
    return pid

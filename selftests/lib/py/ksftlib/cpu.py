# SPDX-License-Identifier: GPL-2.0
"""On which CPU something runs, and a CPU on which nothing else does."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .files import set_for_test
from .ktap import PACE, Context, Skip


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


#: Real-time priority of what keeps a CPU busy.
_PRIORITY = 50


class Occupied:
    """Keeps `cpu` from running anything of lower priority, workqueues too, from `begin` to `release`.

    But for soft interrupts, without which no RCU grace period would end on any CPU, and work of high
    priority: the block layer's, whose timers may have been set there. Whatever is not bound to a CPU
    goes to `other` from the start: it could hold a lock that others want
    when the scheduler puts it onto `cpu`, where it would not get on. It ends by itself after a while.
    """

    #: Seconds after which the CPU is free again, whatever happens.
    _LIMIT = 60.0 * PACE

    def __init__(self, context: Context, cpu: int, other: int) -> None:
        unbound = Path("/sys/devices/virtual/workqueue/cpumask")
        if unbound.exists():
            set_for_test(context, unbound, f"{1 << other:x}")
        self._context = context
        #: Where each thread might run before.
        self._before: dict[int, set[int]] = {}
        self._pids: list[int] = []
        context.defer(self.release)
        self._move(other)
        self._cpu, self._other = cpu, other

    def begin(self) -> None:
        """Now. What was queued on the CPU before and has not run waits as well."""
        context, cpu, other = self._context, self._cpu, self._other
        # Both leave a part of each second to others.
        set_for_test(context, Path("/proc/sys/kernel/sched_rt_runtime_us"), "-1")
        server = Path(f"/sys/kernel/debug/sched/fair_server/cpu{cpu}/runtime")
        if server.exists():
            set_for_test(context, server, "0")
        self._spare(re.compile(rf"ksoftirqd/{cpu}$|kworker/{cpu}:\d+H"))
        # Timers of an idle CPU would be handled by the other one.
        self._pids.append(_spin(other, self._LIMIT, lambda: os.nice(19)))
        self._pids.append(
            _spin(
                cpu, self._LIMIT,
                lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY)),
            )
        )  # fmt: skip

    def _move(self, other: int) -> None:
        for path in Path("/proc").glob("[0-9]*/task/[0-9]*"):
            thread = int(path.name)
            # It may have ended; threads of the kernel that are bound to a CPU stay there.
            with contextlib.suppress(OSError):
                before = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, {other})
                self._before[thread] = before

    def _spare(self, names: "re.Pattern[str]") -> None:
        for path in Path("/proc").glob("[0-9]*/comm"):
            # It may have ended.
            with contextlib.suppress(OSError):
                if names.match(path.read_text()):
                    thread = int(path.parent.name)
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY + 1))
                    self._context.defer(partial(_no_longer_real_time, thread))

    def release(self) -> None:
        """Others run again."""
        while self._pids:
            pid = self._pids.pop()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        while self._before:
            thread, before = self._before.popitem()
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, before)


def _no_longer_real_time(thread: int) -> None:
    with contextlib.suppress(OSError):
        os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _spin(cpu: int, limit: float, prepare: Callable[[], object]) -> int:
    """A process that keeps `cpu` busy for at most `limit` seconds, once it does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            end = time.monotonic() + limit
            os.sched_setaffinity(0, {cpu})
            prepare()
            os.write(writer, b"x")
            while time.monotonic() < end:
                pass
        finally:
            os._exit(0)
    os.close(writer)
    started = os.read(reader, 1)
    os.close(reader)
    assert started, f"CPU {cpu} could not be occupied"
    return pid

# SPDX-License-Identifier: GPL-2.0
"""The kernel's memory counters, and whether they grow with what was done.

A sample is taken after everything that may still be freed has been: caches are dropped,
grace periods are over, and the slab caches have given back what they had put aside.
"""

import contextlib
import ctypes
import mmap
import os
import platform
import re
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .files import write

_SLABINFO = Path("/proc/slabinfo")

#: Lines of /proc/meminfo that count what the kernel uses for itself.
_KERNEL_USE = ("SReclaimable", "SUnreclaim", "KernelStack", "VmallocUsed", "Percpu")

#: Lines of /proc/meminfo that count what belongs to files and processes.
_USER_USE = ("Buffers", "Cached", "SwapCached", "AnonPages", "PageTables", "SecPageTables")

#: The kernel frees some objects in batches that wait for five seconds.
BATCHES = 6.0

#: membarrier(2): its command 1 waits for a grace period.
_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_CMD_GLOBAL = 1

#: socket(7): attaches a program in classic BPF; the instruction that returns a constant.
_SO_ATTACH_FILTER = 26
_BPF_RET = 0x06

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def settle(seconds: float = BATCHES) -> None:
    """Lets the kernel free what it no longer needs; `seconds` are for batches, see above."""
    for wait in (seconds, 0.5):
        write(Path("/proc/sys/vm/drop_caches"), "3")
        _grace_period()
        _purge_addresses()
        time.sleep(wait)
    for path in Path("/sys/kernel/slab").glob("*/shrink"):
        write(path, "1")


def _grace_period() -> None:
    number = _MEMBARRIER.get(platform.machine())
    if number is not None:
        # Without the system call the sleep afterwards has to do.
        ctypes.CDLL(None).syscall(ctypes.c_long(number), _MEMBARRIER_CMD_GLOBAL, 0, 0)


def _purge_addresses() -> None:
    """Has the kernel give up freed vmalloc areas.

    It keeps them until there are many, with what KASAN has for them, or until it changes whether
    pages can be written to: as for the filter of a socket, unless a JIT compiles that.
    """
    accept = ctypes.create_string_buffer(struct.pack("=HBBI", _BPF_RET, 0, 0, 0xFFFFFFFF))
    program = struct.pack("@HP", 1, ctypes.addressof(accept))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def has_slabinfo() -> bool:
    """Whether the kernel counts the objects of each slab cache (CONFIG_SLUB_DEBUG)."""
    return _SLABINFO.exists()


def parse_slabinfo(text: str) -> dict[str, int]:
    """Objects in use, by cache."""
    rows = (line.split() for line in text.splitlines()[2:])
    return {row[0]: int(row[1]) for row in rows if row}


def parse_meminfo(text: str) -> dict[str, int]:
    """KiB by name."""
    rows = (line.replace(":", " ").split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if row}


def parse_vmallocinfo(text: str) -> int:
    """Bytes of the pages behind vmalloc areas that are no stacks."""
    sizes = (
        re.search(r" pages=(\d+) ", line)
        for line in text.splitlines()
        if "stack" not in line and "dup_task_struct" not in line
    )
    return sum(int(found[1]) for found in sizes if found) * mmap.PAGESIZE


def parse_pcp(text: str) -> int:
    """Free pages that the processors' own lists hold, from /proc/zoneinfo."""
    counts = re.findall(r"^\s+cpu: \d+\n\s+count: +(\d+)", text, re.MULTILINE)
    return sum(int(count) for count in counts)


def other_pages(meminfo: dict[str, int], pcp: int) -> int:
    """KiB that are not free and that no counter explains: pages that the kernel took directly."""
    used = meminfo["MemTotal"] - meminfo["MemFree"] - pcp * _PAGE_KIB
    return used - sum(meminfo.get(name, 0) for name in (*_KERNEL_USE, *_USER_USE))


def counters(modules: Sequence[str] = ()) -> dict[str, int]:
    """All counters, by name. Those that count something else than objects say what.

    The users of `modules` are counted as well.
    """
    meminfo = parse_meminfo(Path("/proc/meminfo").read_text())
    found = {f"{name} KiB": meminfo[name] for name in _KERNEL_USE if name in meminfo}
    pcp = parse_pcp(Path("/proc/zoneinfo").read_text())
    found["other pages KiB"] = other_pages(meminfo, pcp)
    areas = Path("/proc/vmallocinfo").read_text().splitlines()
    # Freed ones whose addresses wait for being usable again count for nothing.
    found["vmalloc areas"] = sum("unpurged" not in line for line in areas)
    for line in Path("/proc/modules").read_text().splitlines():
        name, _size, users = line.split()[:3]
        if name in modules:
            found[f"users of {name}"] = int(users)
    if has_slabinfo():
        objects = parse_slabinfo(_SLABINFO.read_text())
        found |= {f"slab {name}": count for name, count in objects.items()}
    return found


@dataclass(frozen=True)
class Sample:
    """The counters after so many cycles."""

    cycle: int
    counters: dict[str, int]


def sample(cycle: int, modules: Sequence[str] = (), seconds: float = BATCHES) -> Sample:
    """A sample of the settled kernel; `seconds` as for `settle`."""
    settle(seconds)
    return Sample(cycle, counters(modules))


def watch(
    step: Callable[[int], object],
    marks: Sequence[int],
    seen: Callable[[Sample], object] = lambda _sample: None,
    modules: Sequence[str] = (),
) -> list[Sample]:
    """Calls `step` with 0, 1, 2, ... and takes a sample after each number of calls in `marks`.

    `seen` is told of each sample as soon as it is there.
    """
    samples = []
    for number in range(marks[-1] + 1):
        if number in marks:
            samples.append(sample(number, modules))
            seen(samples[-1])
        if number < marks[-1]:
            step(number)
    return samples


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Growth for each step of x: the line that fits the points best."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


@dataclass(frozen=True)
class Limit:
    """What a counter may grow by: for each cycle, and over all samples, whichever is more."""

    each: float
    total: float


#: Growth that is allowed, by the beginning of a counter's name; the first one that fits counts.
_LIMITS = (
    ("users of ", Limit(0, 0)),
    # Nothing but the modules moves these here.
    ("vmalloc areas", Limit(0.01, 4)),
    ("VmallocUsed KiB", Limit(0.08, 32)),
    ("Percpu KiB", Limit(0.02, 16)),
    # Can be reclaimed, but dropping caches once does not: slabs with a single busy object stay.
    ("SReclaimable KiB", Limit(0.4, 512)),
    # One object in each twentieth cycle, if the samples span 500 cycles. The rest of the
    # system moves some objects.
    ("slab ", Limit(0.05, 25)),
    # What is counted in pages comes and goes by whole slabs, and with the system's idle work; a
    # short run is still filling caches.
    ("", Limit(0.2, 256)),
)


def limit(counter: str) -> Limit:
    """What this counter may grow by."""
    return next(limit for start, limit in _LIMITS if counter.startswith(start))


@dataclass(frozen=True)
class Trend:
    """How one counter went."""

    counter: str
    values: tuple[int, ...]
    #: Growth for each cycle.
    slope: float
    #: What the slope may be.
    allowed: float

    @property
    def grows(self) -> bool:
        """Whether it grows by more than it may."""
        return self.slope > self.allowed


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """How the counters went, sorted by name. A counter that is missing somewhere counts as 0."""
    assert len(samples) >= 2, "a trend needs two samples"
    span = samples[-1].cycle - samples[0].cycle
    assert span > 0, "the samples are of the same cycle"
    found = []
    for name in sorted({name for one in samples for name in one.counters}):
        values = tuple(one.counters.get(name, 0) for one in samples)
        points = [(float(one.cycle), float(value)) for one, value in zip(samples, values)]
        may = limit(name)
        found.append(Trend(name, values, slope(points), max(may.each, may.total / span)))
    return found


def growing(samples: Sequence[Sample]) -> list[str]:
    """Names of the counters that grow by more than they may."""
    return [trend.counter for trend in trends(samples) if trend.grows]


def table(samples: Sequence[Sample], unit: str) -> list[str]:
    """The counters as lines of text; slab caches that hardly move are left out.

    `unit` is what the samples count, in the singular.
    """
    cycles = "".join(f"{one.cycle:>9}" for one in samples)
    lines = [f"{f'after so many {unit}s':32}{cycles}{'per 100':>10}{'allowed':>9}"]
    left_out = 0
    for trend in trends(samples):
        moved = max(trend.values) - min(trend.values)
        if trend.counter.startswith("slab ") and not trend.grows and moved < 3:
            left_out += 1
            continue
        values = "".join(f"{value:>9}" for value in trend.values)
        verdict = "  GROWS" if trend.grows else ""
        lines.append(
            f"{trend.counter:32}{values}{trend.slope * 100:>10.1f}{trend.allowed * 100:>9.1f}"
            f"{verdict}"
        )
    if left_out:
        lines.append(f"({left_out} slab caches that moved by less than 3 objects)")
    return lines

# SPDX-License-Identifier: GPL-2.0
"""What was allocated in a span of time and is still there: slab objects by who asked for them.

The kernel's kmem trace events say for each object when it came, for whom, and when it went.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TRACING = Path("/sys/kernel/tracing")

_EVENTS = ("kmalloc", "kmem_cache_alloc", "kfree", "kmem_cache_free")

#: KiB of trace buffer for each processor.
_BUFFER = 32768

_ALLOCATED = re.compile(
    r" (?:kmalloc|kmem_cache_alloc): call_site=(?P<site>\S+(?: \[\w+\])?) ptr=(?P<ptr>\S+) .*"
    r"bytes_alloc=(?P<bytes>\d+) "
)
_FREED = re.compile(r" (?:kfree|kmem_cache_free): call_site=\S+(?: \[\w+\])? ptr=(\S+)")
_OVERRUN = re.compile(r"^overrun: (\d+)", re.MULTILINE)

#: The place inside a function.
_OFFSET = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")


class LedgerError(Exception):
    """The trace is not complete."""


def parse(lines: Iterable[str]) -> dict[str, list[int]]:
    """Bytes of each object that was allocated in the trace and not freed, by calling function."""
    live: dict[str, tuple[str, int]] = {}
    for line in lines:
        if found := _ALLOCATED.search(line):
            live[found["ptr"]] = (_OFFSET.sub("", found["site"]), int(found["bytes"]))
        elif found := _FREED.search(line):
            live.pop(found[1], None)
    callers: dict[str, list[int]] = defaultdict(list)
    for site, size in live.values():
        callers[site].append(size)
    return dict(callers)


class Ledger:
    """What `recording` has found: see `parse`."""

    def __init__(self) -> None:
        self.callers: dict[str, list[int]] = {}


def _set(name: str, value: str) -> None:
    (_TRACING / name).write_text(value, encoding="ascii")


@contextmanager
def recording() -> Iterator[Ledger]:
    """Fills the ledger with what is allocated in the body and still there at its end."""
    ledger = Ledger()
    _set("buffer_size_kb", str(_BUFFER))
    # Strictly in order over all processors.
    _set("trace_clock", "counter")
    _set("trace", "")
    for event in _EVENTS:
        _set(f"events/kmem/{event}/enable", "1")
    try:
        yield ledger
    finally:
        for event in _EVENTS:
            _set(f"events/kmem/{event}/enable", "0")
    for statistics in _TRACING.glob("per_cpu/cpu*/stats"):
        lost = _OVERRUN.search(statistics.read_text(encoding="ascii"))
        if lost is None or int(lost[1]):
            raise LedgerError(f"{statistics}: events were lost")
    with (_TRACING / "trace").open(encoding="utf-8", errors="replace") as trace:
        ledger.callers = parse(trace)
    _set("trace", "")

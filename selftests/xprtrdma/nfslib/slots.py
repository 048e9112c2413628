# SPDX-License-Identifier: GPL-2.0
"""How many calls a connection may have in flight, and what follows from it."""

from pathlib import Path

from ksftlib.files import read, set_for_test
from ksftlib.ktap import Context

_ENTRIES = Path("/proc/sys/sunrpc/rdma_slot_table_entries")

#: Send contexts that a connection has beside one for each slot, of which one is never in use.
_FOR_CALLBACKS = 2


def set_slots(context: Context, count: int) -> None:
    """Mounts from now on have so many."""
    set_for_test(context, _ENTRIES, str(count))


def slots() -> int:
    """What the next mount has."""
    return int(read(_ENTRIES))


def batch(count: int) -> int:
    """Work requests after which a Send is to be signalled, with so many slots."""
    return count // 8


def contexts(count: int) -> int:
    """Sends that can be outstanding, with so many slots."""
    return count + _FOR_CALLBACKS - 1


def requests(count: int) -> int:
    """Requests that a connection has for so many slots: some may be kept by Sends that ended."""
    return count + (count + 7) // 8

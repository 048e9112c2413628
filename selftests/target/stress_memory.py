#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=3600 tools=yes impl=both host=tcmulib.host.memory
"""Kernel memory that commands take while a daemon has them, outside the shared area.

For each number of READs in flight the objects that were allocated since the device was
enabled are counted by caller. What the backend's own code asked for, and the arrays and trees
that it keeps, is its bookkeeping; the rest (SCSI, block layer, target core, this program) is
shown as well: it does not depend on the implementation. The rows also go to RESULTS;
tcmulib.host.memory compares those of both implementations.
"""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ksftlib import memory
from ksftlib.aio import Reads
from ksftlib.files import read
from ksftlib.ktap import PACE, PATIENCE, Context, time_limit
from ksftlib.ledger import recording
from ksftlib.wait import Task, until
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, Disk, leave_disks_alone
from tcmulib.stress import say, say_machine, undone, verdict

#: Bytes of a command and numbers of commands in flight.
PLAN = ((4 << 10, (1, 16, 64, 200, 256, 512, 600)), (256 << 10, (1, 16, 64, 128, 200)))

#: Callers whose objects are the backend's: its module, the trees of C (XArray) and the arrays
#: of Rust (`Vec` and vmalloc), which the kernel's own code allocates for it.
_OWN = re.compile(r"\[target_core_user\]|^(?:xas_|xa_|__xa_|radix_tree|kv|vmalloc|__vmalloc)|^_R|"
                  r"alloc_vmap_area|get_vm_area|krealloc|vrealloc")  # fmt: skip

#: Seconds for one measurement.
LIMIT = 120.0


@dataclass(frozen=True)
class Row:
    """What so many READs of `size` bytes took."""

    size: int
    commands: int
    #: Bytes of pages behind vmalloc areas.
    vmalloc: int
    #: Bytes of each object of the backend's, by caller.
    callers: dict[str, list[int]]
    #: Bytes of all other objects.
    rest: int

    @property
    def own(self) -> int:
        """Bytes of the backend's bookkeeping."""
        return self.vmalloc + sum(map(sum, self.callers.values()))

    def lines(self) -> list[str]:
        """The row as text."""
        text = [
            f"{self.commands:5} READs of {self.size >> 10:4} KiB: bookkeeping {self.own:7} bytes, "
            f"{self.own / self.commands:8.1f} for each; "
            f"the rest of the kernel {self.rest / self.commands:8.1f}"
        ]
        for name, sizes in sorted(self.callers.items(), key=lambda item: -sum(item[1])):
            counted = sorted(Counter(sizes).items(), reverse=True)
            objects = ", ".join(f"{number} of {size}" for size, number in counted)
            text.append(f"      {sum(sizes):8} bytes, {name}: {objects}")
        if self.vmalloc:
            text.append(f"      {self.vmalloc:8} bytes of vmalloc pages")
        return text


def is_own(caller: str) -> bool:
    """Whether this caller's objects are the backend's bookkeeping."""
    return bool(_OWN.search(caller))


def vmalloc_bytes() -> int:
    """Bytes of pages behind vmalloc areas, except stacks: the kernel keeps some for later use."""
    return memory.parse_vmallocinfo(Path("/proc/vmallocinfo").read_text())


def in_flight(disk: Disk) -> int:
    """READs that the disk driver has handed on."""
    return int(read(Path("/sys/block") / disk.block.name / "inflight").split()[0])


def send(disk: Disk, count: int, size: int) -> None:
    """Keeps `count` READs in flight until they are answered."""
    reads = Reads(disk.block, count, size)
    blocks = size // BLOCK
    # Every second piece, so that nothing can be merged.
    reads.submit(list(range(count)), 0, 2 * blocks)
    done = 0
    while done < count:
        finished = reads.reap(1)
        assert all(result == size for _, result in finished), finished
        done += len(finished)


def measure(size: int, count: int) -> Row:
    """One row: what `count` READs of `size` bytes take on a device of their own."""
    context = Context()
    try:
        area = max(8, 2 * size * count >> 20)
        rig = Rig(
            context,
            options=f"max_data_area_mb={area},cmd_ring_size_mb=1,hw_max_sectors={size // BLOCK}"
            ",data_pages_per_blk=1",
            attributes={"cmd_time_out": 0},
            size=max(2 * size * count, 1 << 20),
        )
        disk = rig.disk()
        disk.set_timeout(600)
        disk.queue("nomerges", 2)
        rig.daemon.ctl("pause")
        vmalloc = vmalloc_bytes()
        with recording() as ledger:
            task = Task(context, lambda: send(disk, count, size), f"{count} READs")
            until(lambda: in_flight(disk) == count, f"{count} READs in flight", 60)
            # On their way through the target the last ones may still be.
            time.sleep(0.5 * PACE)
        grown = vmalloc_bytes() - vmalloc
        state = rig.daemon.ctl("stats")
        assert "paused=1" in state, f"the daemon answered some: {state}"
        rig.daemon.ctl("resume")
        task.wait(60)
    finally:
        errors = context.clean_up()
    assert not errors, "\n".join(errors)
    own = {name: sizes for name, sizes in ledger.callers.items() if is_own(name)}
    rest = [sizes for name, sizes in ledger.callers.items() if not is_own(name)]
    return Row(size, count, grown, own, sum(map(sum, rest)))


def main() -> int:
    """Measures all of `PLAN`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1 << 20, help="no more READs than this")
    arguments = parser.parse_args()
    say_machine()
    wrong: list[str] = []
    rows = []
    with undone(wrong) as shared:
        leave_disks_alone(shared)
        for size, counts in PLAN:
            for count in counts:
                if count > arguments.most:
                    continue
                with time_limit(LIMIT * PATIENCE):
                    row = measure(size, count)
                rows.append({"size": size, "commands": count, "own": row.own, "rest": row.rest})
                say("\n".join(row.lines()))
    results = os.environ.get("RESULTS")
    if results:
        (Path(results) / "per-command.json").write_text(json.dumps(rows), encoding="utf-8")
    return verdict(wrong, "measured", "FAILED", f"{len(rows)} rows")


if __name__ == "__main__":
    sys.exit(main())

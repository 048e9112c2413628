#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An initiator's ABORT_TASK on its way to a user-space daemon, with and without notification.

1. A disk, served by the daemon, is exported through the loopback fabric, and keeps its data.
2. The daemon keeps a READ back. The initiator's SCSI layer loses patience and aborts it: once
   with tmr_notification 0 and once with 1.
3. LUN RESET with several commands in flight.

The exit status is 0 if everything went as it must.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "selftests" / "target"))

from tcmulib.ktap import Context, implementation, time_limit  # noqa: E402
from tcmulib.rig import Rig, pattern  # noqa: E402
from tcmulib.scsi import BLOCK, DID_TIME_OUT, Disk, EhLog, read10  # noqa: E402
from tcmulib.wait import Task  # noqa: E402

import timeline  # noqa: E402

#: How long the initiator waits for a command before it aborts it, and how long the daemon keeps it.
#: The block layer looks at its timers once a second, so the abort may come a second later.
PATIENCE, KEPT = 2.0, 6.0

#: Time from the daemon's cancel to the answer of the abort. A processor that is emulated is some 20
#: times slower, and the daemon and the kernel share it with the console.
ANSWER_LIMIT, ANSWER_LIMIT_EMULATED = 0.1, 0.5

#: Seconds for the whole demonstration.
LIMIT = 100.0

#: Commands in flight when the LUN RESET comes.
IN_FLIGHT = 5


class DemoError(Exception):
    """Something did not go as it must."""


def emulated() -> bool:
    """Whether this machine's processor is software."""
    return "TCG" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")


def answer_limit() -> float:
    """Seconds within which a cancelled command's abort must be answered here."""
    return ANSWER_LIMIT_EMULATED if emulated() else ANSWER_LIMIT


def say(text: str = "") -> None:
    """A line of the demonstration."""
    print(text, flush=True)


def require(condition: bool, text: str) -> None:
    """Says what has been shown, or ends the demonstration."""
    if not condition:
        raise DemoError(f"not so: {text}")
    say(f"  ok: {text}")


@contextmanager
def context() -> Iterator[Context]:
    """A context that is cleaned up at the end."""
    scope = Context()
    try:
        yield scope
    except BaseException:
        scope.diagnose()
        raise
    finally:
        errors = scope.clean_up()
        if errors and sys.exc_info()[0] is None:
            raise DemoError("\n".join(errors))


def keep(rig: Rig, name: str) -> None:
    """Copies the daemon's log to the results, if there is a place for them."""
    results = os.environ.get("RESULTS")
    if results:
        shutil.copyfile(rig.daemon.log_path, Path(results) / f"demo-{name}.jsonl")


def mark_time() -> None:
    """Writes CLOCK_MONOTONIC into the kernel's log."""
    with open("/dev/kmsg", "w", encoding="ascii") as log:
        log.write(f"{timeline.MARK}{time.monotonic_ns()}")


def kernel_messages(since: int) -> list[timeline.Message]:
    """The kernel's messages whose number is at least `since`, on CLOCK_MONOTONIC."""
    return timeline.parse_kernel_log(
        record for record in _records() if int(record.split(",", 2)[1]) >= since
    )


def next_record() -> int:
    """Number of the kernel's next message."""
    numbers = [int(record.split(",", 2)[1]) for record in _records()]
    return numbers[-1] + 1 if numbers else 0


def _records() -> Iterator[str]:
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                yield os.read(descriptor, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue
    finally:
        os.close(descriptor)


def show_integrity() -> None:
    """A file system on the disk keeps its files; so do raw blocks."""
    say("The disk keeps its data")
    with context() as scope:
        rig = Rig(scope)
        disk = rig.disk()
        data = pattern(1, 1 << 20)
        for start in range(0, len(data), 64 << 10):
            disk.write(start // BLOCK, data[start : start + (64 << 10)])
        found = b"".join(disk.read(start // BLOCK, 128) for start in range(0, len(data), 64 << 10))
        require(found == data, f"{len(data) >> 10} KiB written past the cache are read back")
        files_written, files_found = _file_system(disk)
        require(
            files_written == files_found,
            f"{len(files_written)} files on ext4 have the same checksums after a new mount",
        )
        commands = len(rig.daemon.events("cmd"))
        require(commands > 0, f"all of it went through the daemon: {commands} commands")
        keep(rig, "integrity")


def _file_system(disk: Disk) -> tuple[list[str], list[str]]:
    """SHA-256 of files before and after unmounting."""
    folder = Path(tempfile.mkdtemp(prefix="lio-rust-demo-"))
    mkfs = ["mkfs.ext4", "-q", "-F", str(disk.block)]
    subprocess.run(mkfs, check=True, timeout=60, stdout=subprocess.DEVNULL)
    sums: list[list[str]] = []
    for turn in range(2):
        subprocess.run(["mount", str(disk.block), str(folder)], check=True, timeout=30)
        try:
            paths = [folder / f"file{number}" for number in range(8)]
            if turn == 0:
                for number, path in enumerate(paths):
                    path.write_bytes(pattern(100 + number, 40_000 * (number + 1)))
            sums.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
        finally:
            subprocess.run(["umount", str(folder)], check=True, timeout=60)
        subprocess.run(["blockdev", "--flushbufs", str(disk.block)], check=True, timeout=30)
    folder.rmdir()
    return sums[0], sums[1]


def show_abort(notify: int) -> timeline.Abort:
    """One READ that the initiator aborts."""
    say()
    say(
        f"The initiator aborts a READ that the daemon keeps for {KEPT:g} s, tmr_notification = {notify}"
    )
    with context() as scope:
        rig = Rig(scope, attributes={"tmr_notification": notify})
        disk = rig.disk()
        EhLog(scope)
        rig.daemon.ctl(f"hold read,count=1,delay={int(KEPT * 1000)}")
        since = next_record()
        mark_time()

        def read() -> tuple[float, int]:
            sent = time.monotonic()
            return sent, disk.sg_io(read10(0, 8), data_in=8 * BLOCK, timeout=PATIENCE).host_status

        task = Task(scope, read, "the READ")
        sent, host_status = task.wait(40)
        mark_time()
        story = timeline.abort_timeline(
            disk.address,
            sent,
            task.end,
            kernel_messages(since),
            [event.fields for event in rig.daemon.events()],
        )
        for line in timeline.render(story.steps):
            say(line)
        keep(rig, f"abort-{notify}")
        require(host_status == DID_TIME_OUT, "the initiator sees a time-out")
    if notify:
        require(story.listed == (story.cmd_id,), "the daemon was told exactly the aborted command")
        limit = answer_limit()
        require(
            -0.001 <= story.after_let_go <= limit,
            f"the abort was answered {story.after_let_go * 1000:.1f} ms after the cancel "
            f"(at most {limit * 1000:.0f} ms)",
        )
    else:
        require(story.listed is None, "the daemon was told nothing")
        require(
            story.after_let_go >= -0.001 and story.let_go - story.sent >= KEPT,
            f"the abort waited {story.wait:.3f} s for the command",
        )
    return story


def show_reset() -> None:
    """LUN RESET with commands in flight."""
    say()
    say("LUN RESET with commands in flight, tmr_notification = 1")
    with context() as scope:
        rig = Rig(scope, attributes={"tmr_notification": 1})
        disk = rig.disk()
        rig.daemon.ctl("hold read")
        for number in range(IN_FLIGHT + 1):
            disk.task_sg(read10(number * 8, 8), data_in=8 * BLOCK)
            held = rig.daemon.wait_held(number + 1)
        say(f"  {len(held)} READs are in flight as commands {held}; command {held[1]} is answered")
        rig.daemon.ctl(f"release {held.pop(1)}")

        def reset() -> float:
            sent = time.monotonic()
            disk.lun_reset()
            return sent

        task = Task(scope, reset, "LUN RESET")
        sent = task.wait(30)
        story = timeline.reset_timeline(
            sent, task.end, held, [event.fields for event in rig.daemon.events()]
        )
        for line in timeline.render(story.steps):
            say(line)
        keep(rig, "reset")
        require(
            sorted(story.listed) == sorted(story.in_flight),
            "the list has exactly the commands in flight",
        )
        require(sorted(story.cancelled) == sorted(held), "the daemon cancelled all of them")


def main() -> int:
    """Runs all parts."""
    language = {"rust": "this project's Rust modules", "c": "the stock C modules"}
    try:
        with time_limit(LIMIT):
            which = language.get(implementation(), implementation())
            say(f"Linux {platform.release()} with {which}"
                f"{', on an emulated processor' if emulated() else ''}")  # fmt: skip
            say()
            show_integrity()
            without, with_notification = show_abort(0), show_abort(1)
            say()
            say(f"  tmr_notification 0: the abort took {without.wait:7.3f} s")
            say(f"  tmr_notification 1: the abort took {with_notification.wait:7.3f} s")
            times = timeline.ratio(without.wait, with_notification.wait)
            require(without.wait > 2 * with_notification.wait, f"{times} times shorter")
            show_reset()
    except (DemoError, timeline.TimelineError, AssertionError, OSError) as error:
        say(f"FAILED: {error}")
        return 1
    say()
    say("All shown.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An initiator's ABORT_TASK on its way to a user-space daemon, with and without notification.

1. A disk, served by the daemon, is exported through the loopback fabric, and keeps its data.
2. The daemon keeps a READ back. The initiator's SCSI layer loses patience and aborts it: once
   with tmr_notification 0 and once with 1.
3. LUN RESET with several commands in flight.

It takes no command of anybody else for one of its own: it knows them by their blocks, and says
what else it has met. No step has to be done in a certain time.

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
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "selftests" / "target"))

import timeline  # noqa: E402

from ksftlib.ktap import Context, Skip, TestTimeout, time_limit  # noqa: E402
from ksftlib.wait import Task  # noqa: E402
from tcmulib.impl import implementation  # noqa: E402
from tcmulib.rig import Rig, pattern  # noqa: E402
from tcmulib.scsi import (  # noqa: E402
    BLOCK,
    DID_TIME_OUT,
    GOOD,
    Disk,
    EhLog,
    leave_disks_alone,
    read10,
)

#: How long the initiator waits for the READ before it aborts it. Others' commands have 30 s.
#: The block layer looks at its timers once a second, so the abort may come a second later.
PATIENCE = 10.0

#: How long the daemon keeps the READ after it has been aborted if it is told nothing of that.
KEPT = 10.0

#: For commands whose end is the demonstration's own doing, and for waiting for such an end.
FOR_EVER = 3600.0

#: Time from the daemon's cancel to the answer of the abort. A processor that is emulated is some 20
#: times slower, and the daemon and the kernel share it with the console.
ANSWER_LIMIT, ANSWER_LIMIT_EMULATED = 0.1, 0.5

#: On a busy machine it is so many times what a READ and a line in the kernel's log take, the slowest
#: of so many.
ANSWER_STEPS, ANSWER_SAMPLES = 10, 20

#: Seconds for the whole demonstration, of which it needs about one minute.
LIMIT = 3600.0

#: The backend's own time limit would end what is held.
NO_TIME_OUT: dict[str, "str | int"] = {"cmd_time_out": 0}

#: Marks that are written into the kernel's log one after the other.
MARKS = 8

#: Commands in flight when the LUN RESET comes.
IN_FLIGHT = 5


class DemoError(Exception):
    """Something did not go as it must."""


#: How the demonstration can fail.
PROBLEMS = (
    DemoError, timeline.TimelineError, TestTimeout, Skip, AssertionError, OSError,
    subprocess.SubprocessError,
)  # fmt: skip


def emulated() -> bool:
    """Whether this machine's processor is software."""
    return "TCG" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")


def answer_limit(disk: Disk) -> float:
    """Seconds within which a cancelled command's abort must be answered on this machine now."""
    slowest = 0.0
    for _ in range(ANSWER_SAMPLES):
        start = time.monotonic()
        disk.sg_io(own_read(1), data_in=8 * BLOCK, timeout=FOR_EVER)
        with open("/dev/kmsg", "w", encoding="ascii") as log:
            log.write("lio-rust demo: a line, to see how long one takes")
        slowest = max(slowest, time.monotonic() - start)
    return max(ANSWER_LIMIT_EMULATED if emulated() else ANSWER_LIMIT, ANSWER_STEPS * slowest)


def own_read(number: int) -> bytes:
    """CDB of a READ(10) that nobody else sends."""
    return read10(timeline.OWN.start + number * 8, 8)


def hold_own(rig: Rig) -> None:
    """Has the daemon keep the demonstration's READs back from now on, and nobody else's."""
    rig.daemon.ctl(f"hold read,lba={timeline.OWN.start}-{timeline.OWN.stop - 1}")


def wait_held(rig: Rig, cdb: bytes) -> int:
    """The id under which the daemon keeps this command, once it does."""
    event = rig.daemon.wait_event("cmd", lambda event: event["cdb"] == cdb.hex(), seconds=FOR_EVER)
    rig.daemon.wait_event("hold", lambda hold: hold["id"] == event["id"], seconds=FOR_EVER)
    return int(event["id"])


def events(rig: Rig) -> list[dict[str, Any]]:
    """The daemon's log so far."""
    return [event.fields for event in rig.daemon.events()]


def say_others(rig: Rig, since: float) -> None:
    """Says what of others the daemon has met since then."""
    met = timeline.others(events(rig), since)
    if met:
        say(f"  (meanwhile the disk got from others: {met})")


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
    group = time.monotonic_ns()
    with open("/dev/kmsg", "w", encoding="ascii", buffering=1) as log:
        for _ in range(MARKS):
            # Of the lowest level, which no console waits for.
            log.write(f"<7>{timeline.MARK}{time.monotonic_ns()} {group}\n")


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
        data, step = pattern(1, 1 << 20), 64 << 10
        places = range(timeline.OWN.start, timeline.OWN.start + len(data) // BLOCK, step // BLOCK)
        for number, lba in enumerate(places):
            disk.write(lba, data[number * step : (number + 1) * step])
        found = b"".join(disk.read(lba, step // BLOCK) for lba in places)
        require(found == data, f"{len(data) >> 10} KiB written past the cache are read back")
        served = [event for event in events(rig) if event["event"] == "cmd"]
        for what in ("READ", "WRITE"):
            of_kind = [event for event in served if event["name"] == f"{what}(10)"]
            blocks = {block for event in of_kind for block in timeline.own_blocks(event)}
            require(
                blocks == set(range(places.start, places.stop)),
                f"all of it went through the daemon: {what}s of {len(blocks)} blocks",
            )
        say_others(rig, 0.0)
        files_written, files_found = _file_system(disk)
        require(
            files_written == files_found,
            f"{len(files_written)} files on ext4 have the same checksums after a new mount",
        )
        keep(rig, "integrity")


def run(*command: "str | Path") -> None:
    """Runs a program, which must succeed and may take its time."""
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def _file_system(disk: Disk) -> tuple[list[str], list[str]]:
    """SHA-256 of files before and after unmounting."""
    folder = Path(tempfile.mkdtemp(prefix="lio-rust-demo-"))
    run("mkfs.ext4", "-q", "-F", disk.block)
    sums: list[list[str]] = []
    for turn in range(2):
        run("mount", disk.block, folder)
        try:
            paths = [folder / f"file{number}" for number in range(8)]
            if turn == 0:
                for number, path in enumerate(paths):
                    path.write_bytes(pattern(100 + number, 40_000 * (number + 1)))
            sums.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
        finally:
            run("umount", folder)
        run("blockdev", "--flushbufs", disk.block)
    folder.rmdir()
    return sums[0], sums[1]


def show_abort(notify: int) -> timeline.Abort:
    """One READ that the initiator aborts."""
    say()
    say(f"The initiator aborts a READ that the daemon keeps back, tmr_notification = {notify}")
    with context() as scope:
        rig = Rig(scope, attributes={"tmr_notification": notify, **NO_TIME_OUT})
        disk = rig.disk()
        log = EhLog(scope)
        limit = answer_limit(disk)
        hold_own(rig)
        since = next_record()
        mark_time()

        def read() -> tuple[float, int]:
            sent = time.monotonic()
            answer = disk.sg_io(own_read(0), data_in=8 * BLOCK, timeout=PATIENCE)
            return sent, answer.host_status

        task = Task(scope, read, "the READ")
        if not notify:
            log.wait(disk.address, "aborting command", seconds=FOR_EVER)
            task.still_blocked(KEPT)
            rig.daemon.ctl("release all")
        sent, host_status = task.wait(FOR_EVER)
        mark_time()
        story = timeline.abort_timeline(
            disk.address, sent, task.end, kernel_messages(since), events(rig)
        )
        for line in timeline.render(story.steps):
            say(line)
        say_others(rig, sent)
        keep(rig, f"abort-{notify}")
        require(host_status == DID_TIME_OUT, "the initiator sees a time-out")
    if notify:
        require(story.listed == (story.cmd_id,), "the daemon was told exactly the aborted command")
        # Nobody has told the daemon to let it go.
        require(
            -timeline.CLOCKS <= story.after_let_go <= limit,
            f"the abort was answered {story.after_let_go * 1000:.1f} ms after the cancel "
            f"(at most {limit * 1000:.0f} ms)",
        )
    else:
        require(story.listed is None, "the daemon was told nothing")
        require(
            story.after_let_go >= -timeline.CLOCKS and story.wait >= KEPT,
            f"the abort waited {story.wait:.3f} s for the command",
        )
    return story


def show_reset() -> None:
    """LUN RESET with commands in flight."""
    say()
    say("LUN RESET with commands in flight, tmr_notification = 1")
    with context() as scope:
        rig = Rig(scope, attributes={"tmr_notification": 1, **NO_TIME_OUT})
        disk = rig.disk()
        hold_own(rig)
        tasks, held = [], []
        for number in range(IN_FLIGHT + 1):
            tasks.append(disk.task_sg(own_read(number), data_in=8 * BLOCK, timeout=FOR_EVER))
            held.append(wait_held(rig, own_read(number)))
        say(f"  {len(held)} READs are in flight as commands {held}; command {held[1]} is answered")
        rig.daemon.ctl(f"release {held.pop(1)}")
        require(tasks[1].wait(FOR_EVER).status == GOOD, "the initiator has that answer")

        def reset() -> float:
            sent = time.monotonic()
            disk.lun_reset()
            return sent

        task = Task(scope, reset, "LUN RESET")
        sent = task.wait(FOR_EVER)
        story = timeline.reset_timeline(sent, task.end, held, events(rig))
        for line in timeline.render(story.steps):
            say(line)
        say_others(rig, tasks[0].start)
        keep(rig, "reset")
        require(
            sorted(story.listed) == sorted(story.in_flight),
            "of its commands, the list has exactly those in flight",
        )
        require(sorted(story.cancelled) == sorted(held), "the daemon cancelled all of them")


def main() -> int:
    """Runs all parts."""
    language = {"rust": "this project's Rust modules", "c": "the stock C modules"}
    try:
        with time_limit(LIMIT), context() as scope:
            leave_disks_alone(scope)
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
    except PROBLEMS as error:
        say(f"FAILED: {error}")
        return 1
    say()
    say("All shown.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

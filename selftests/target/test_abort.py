#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ABORT_TASK from the initiator to the daemon, without and with tmr_notification."""

from ksftlib.ktap import PACE, Context, equal
from tcmulib.rig import Fill, Rig, pattern
from tcmulib.scsi import BLOCK, DID_TIME_OUT, GOOD, OWN, OWN_READS, EhLog, read10
from tcmulib.suite import Suite

suite = Suite()

NOTIFY: dict[str, "str | int"] = {"tmr_notification": 1}

#: The READ that most tests hold.
READ = read10(OWN, 8)

#: A block that no other test reads: it marks one command in the daemon's log.
MARK = OWN + 0x1234


def marked(blocks: int = 8) -> bytes:
    """CDB of the READ that a test looks for."""
    return read10(MARK, blocks)


def seen(rig: Rig) -> bool:
    """Whether the marked READ has reached the daemon."""
    return any(event["cdb"] == marked().hex() for event in rig.daemon.events("cmd"))


@suite.test("attribute 0, the abort waits for the command and the daemon hears nothing")
def without(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    log = EhLog(context)
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(READ, data_in=8 * BLOCK, timeout=1)
    (held,) = rig.daemon.ids(READ)
    log.wait(disk.address, "aborting command")
    task.still_blocked(1.5)
    assert not log.count("cmd abort"), "the abort was answered before the command"
    rig.daemon.ctl(f"release {held}")
    equal(task.wait().host_status, DID_TIME_OUT, "host status")
    equal(rig.daemon.tmrs(), [], "notifications")
    equal(disk.sg_io(READ, data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("attribute 1, the daemon learns the id of the aborted command")
def with_notification(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(READ, data_in=8 * BLOCK, timeout=1)
    (held,) = rig.daemon.ids(READ)
    notified = rig.daemon.wait_event("tmr")
    equal((notified["type"], notified["ids"]), (1, [held]), "type and ids")
    command = rig.daemon.wait_event("cmd", lambda event: event["id"] == held)
    assert command.time < notified.time
    # The daemon cancels it, and the abort has nothing left to wait for.
    equal(task.wait(10).host_status, DID_TIME_OUT, "host status")
    cancel = rig.daemon.wait_event("cancel")
    equal(cancel["id"], held, "cancelled id")
    equal(len(rig.daemon.tmrs()), 1, "number of notifications")


@suite.test("attribute 1, the abort is answered soon after the cancel")
def prompt(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1,delay=20000")
    task = disk.task_sg(READ, data_in=8 * BLOCK, timeout=1)
    task.wait(15)
    waited = task.end - rig.daemon.wait_event("cancel").time
    # 0.1 s is the goal; the rest is for emulated and for debug kernels.
    assert waited < 1.0 * PACE, f"{waited:.3f} s from the cancel to the answer"


@suite.test("attribute 1, an abort still waits for a daemon that does not cancel")
def ignored(context: Context) -> None:
    rig = Rig(context, "--on-tmr", "ignore", attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(READ, data_in=8 * BLOCK, timeout=1)
    (held,) = rig.daemon.ids(READ)
    rig.daemon.wait_event("tmr")
    task.still_blocked(1.0)
    # GOOD for an aborted command comes too late to count.
    rig.daemon.ctl(f"release {held}")
    equal(task.wait().host_status, DID_TIME_OUT, "host status")


@suite.test("the disk driver's READ is sent again after its abort and brings its data")
def retried(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    data = pattern(1, 8 * BLOCK)
    disk.write(OWN, data)
    # Its second try must be answered in this time.
    disk.set_timeout(int(PACE))
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_read(OWN, 8)
    assert task.wait() == data
    equal([name for name, _ in rig.daemon.tmrs()], ["ABORT_TASK"], "notifications")


@suite.test("of several commands only the aborted one is listed and ends")
def one_of_many(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    others, held = [], []
    for number in range(4):
        cdb = read10(OWN + number * 8, 8)
        others.append(disk.task_sg(cdb, data_in=8 * BLOCK))
        held += rig.daemon.ids(cdb)
    task = disk.task_sg(marked(), data_in=8 * BLOCK, timeout=1)
    held += rig.daemon.ids(marked())
    equal(task.wait().host_status, DID_TIME_OUT, "host status")
    equal(rig.daemon.tmrs(), [("ABORT_TASK", [held[4]])], "notifications")
    equal(rig.daemon.held(), held[:4], "commands still held")
    for other in others:
        other.still_blocked(0.02)
    rig.daemon.ctl("release all")
    equal([other.wait().status for other in others], [GOOD] * 4, "status of the others")


@suite.test("when all commands are aborted each id is listed once")
def all_aborted(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    cdbs = [read10(OWN + number * 8, 8) for number in range(8)]
    tasks = [disk.task_sg(cdb, data_in=8 * BLOCK, timeout=2 * PACE) for cdb in cdbs]
    held = rig.daemon.ids(*cdbs)
    for task in tasks:
        equal(task.wait().host_status, DID_TIME_OUT, "host status")
    listed = sorted(ident for _, ids in rig.daemon.tmrs() for ident in ids)
    equal(listed, sorted(held), "listed ids")
    rig.daemon.ctl("unhold")
    equal(disk.sg_io(READ, data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("tmr_notification counts from the moment it is written")
def switched(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    rig.device.set_attrib("tmr_notification", 1)
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    disk.task_sg(READ, data_in=8 * BLOCK, timeout=1).wait()
    equal(len(rig.daemon.tmrs()), 1, "notifications with 1")
    rig.device.set_attrib("tmr_notification", 0)
    rig.daemon.ctl(f"hold {OWN_READS},count=1,delay=2500")
    disk.task_sg(READ, data_in=8 * BLOCK, timeout=1).wait()
    equal(len(rig.daemon.tmrs()), 1, "notifications after 0")


def queued(context: Context, notify: int) -> None:
    """A command that waits for data area space is aborted at once, unseen."""
    rig = Rig(context, options=Fill.OPTIONS, attributes={"tmr_notification": notify})
    disk = rig.disk()
    fill = Fill(rig, disk)
    task = disk.task_sg(marked(), data_in=8 * BLOCK, timeout=1)
    equal(task.wait(10).host_status, DID_TIME_OUT, "host status")
    fill.check()
    expected: list[tuple[str, list[int]]] = [("ABORT_TASK", [])] if notify else []
    equal(rig.daemon.tmrs(), expected, "notifications")
    fill.release()
    equal(disk.sg_io(READ, data_in=8 * BLOCK).status, GOOD, "status of the next READ")
    assert not seen(rig), "user space saw the aborted command"


@suite.test("attribute 0, a command without space is aborted at once and never seen")
def queued_without(context: Context) -> None:
    queued(context, 0)


@suite.test("attribute 1, a command without space is aborted at once and never seen")
def queued_with(context: Context) -> None:
    queued(context, 1)


@suite.test("a notification overtakes commands that wait for space")
def before_queued(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes=NOTIFY)
    disk = rig.disk()
    fill = Fill(rig, disk, first_timeout=2 * PACE)
    waiting = disk.task_sg(marked(), data_in=8 * BLOCK)
    equal(fill.tasks[0].wait().host_status, DID_TIME_OUT, "host status of the aborted one")
    # Its cancelled blocks are free, so the waiting one comes in.
    rig.daemon.ids(marked())
    names = [
        event.name
        for event in rig.daemon.events()
        if event.name == "tmr" or event.name == "cmd" and event["cdb"] == marked().hex()
    ]
    equal(names, ["tmr", "cmd"], "order")
    equal(rig.daemon.tmrs(), [("ABORT_TASK", [fill.held[0]])], "notifications")
    rig.daemon.ctl("unhold")
    rig.daemon.ctl("release all")
    equal(waiting.wait().status, GOOD, "status of the waiting READ")
    fill.finish(1)


def unknown_tag(context: Context, notify: int) -> list[tuple[str, list[int]]]:
    """The initiator aborts a command that the target has already completed.

    It aborts one command after the other. While the abort of the first waits, the
    second has timed out as well and completes at the target; only then comes its
    abort. Returns the notifications after the first abort's, with the attribute
    `notify` from there on.
    """
    rig = Rig(context, "--on-tmr", "ignore", attributes=NOTIFY)
    disk = rig.disk()
    log = EhLog(context)
    rig.daemon.ctl(f"hold {OWN_READS},count=2")
    cdbs = [read10(OWN + number * 8, 8) for number in range(2)]
    tasks = [disk.task_sg(cdb, data_in=8 * BLOCK, timeout=1) for cdb in cdbs]
    held = rig.daemon.ids(*cdbs)
    log.wait(disk.address, "abort scheduled", count=2)
    (first,) = rig.daemon.wait_event("tmr")["ids"]
    (second,) = set(held) - {first}
    rig.device.set_attrib("tmr_notification", notify)
    rig.daemon.ctl(f"release {second}")
    equal(log.count(disk.address, "aborting command"), 1, "aborts that have begun")
    rig.daemon.ctl(f"release {first}")
    for task in tasks:
        equal(task.wait(30).host_status, DID_TIME_OUT, "host status")
    equal(log.count(disk.address, "cmd abort failed"), 1, "aborts of an unknown tag")
    return rig.daemon.tmrs()[1:]


@suite.test("attribute 0, an abort of a command that is no longer there is answered")
def unknown_tag_without(context: Context) -> None:
    equal(unknown_tag(context, 0), [], "notifications")


@suite.test("attribute 1, an abort of a command that is no longer there has an empty list")
def unknown_tag_with(context: Context) -> None:
    # The initiator goes on to the next level of its error recovery.
    equal(unknown_tag(context, 1), [("ABORT_TASK", []), ("LUN_RESET", [])], "notifications")


@suite.test("the target counts aborts and resets")
def counters(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    before = rig.statistics("scsi_tgt_dev")
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    disk.task_sg(READ, data_in=8 * BLOCK, timeout=1).wait()
    disk.lun_reset()
    after = rig.statistics("scsi_tgt_dev")
    grown = {name: after[name] - before[name] for name in ("aborts_complete", "resets")}
    equal(grown, {"aborts_complete": 1, "resets": 1}, "growth of the counters")


if __name__ == "__main__":
    suite.run()

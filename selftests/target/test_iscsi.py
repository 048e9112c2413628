#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The iSCSI target on the loopback address: open-iscsi, a file system, libiscsi's tests."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from ksftlib.ktap import PACE, PATIENCE, Context, equal
from ksftlib.wait import Task, until
from tcmulib import iscsi, libiscsi
from tcmulib.configfs import remove_leftovers
from tcmulib.iscsi import Initiator, Session, Target, iscsiadm, need
from tcmulib.rig import SIZE, Rig, pattern
from tcmulib.scsi import BLOCK, DID_TIME_OUT, GOOD, OWN, OWN_READS, EhLog, read10
from tcmulib.suite import Suite

suite = Suite()

NOTIFY: dict[str, "str | int"] = {"tmr_notification": 1}


class Exported:
    """A served device as LUN 0 of an iSCSI target."""

    def __init__(
        self,
        context: Context,
        attributes: "dict[str, str | int] | None" = None,
        backing: "str | None" = None,
    ) -> None:
        self.context = context
        self.rig = Rig(context, attributes=attributes, backing=backing)
        self.daemon = self.rig.daemon
        self.target = self.more()

    def more(self) -> Target:
        """Another target with the same device."""
        target = Target(self.context)
        target.add_lun(self.rig.device)
        target.enable()
        # Before the sessions end: nothing may wait for a held command then.
        self.context.defer(self.rig.relax)
        return target

    def initiator(
        self, target: "Target | None" = None, settings: "dict[str, str] | None" = None
    ) -> Initiator:
        """The record of the target, or of another one of this device; not logged in."""
        iscsi.start_iscsid(suite.shared)
        made = Initiator(self.context, target or self.target, settings)
        self.context.defer(self.rig.relax)
        return made

    def log_in(self, settings: "dict[str, str] | None" = None) -> Session:
        """The first session with the target."""
        return self.initiator(None, settings).log_in()

    def unbroken(self, session: Session) -> None:
        """Fails the test unless this is still the first login, and no connection broke."""
        equal(session.state(), "LOGGED_IN", "state of the session")
        equal(session.breaks(), 0, "connections that the initiator gave up")
        equal((self.target.logins(), self.target.errors()), (1, 0), "logins and errors")


@suite.test("the target is discovered; the disk comes with the login and goes with the logout")
def log_in(context: Context) -> None:
    export = Exported(context)
    target, initiator = export.target, export.initiator()
    found = iscsiadm("--mode", "discovery", "--type", "sendtargets", "--portal", target.portal)
    equal(found.split(), [f"{target.portal},1", target.iqn], "the target's answer")
    # Discovery may have written the record anew.
    session = initiator.log_in()
    equal(target.sessions(), 1, "sessions of the target")
    disk = session.disk
    equal(int((Path("/sys/block") / disk.block.name / "size").read_text()) * BLOCK, SIZE, "size")
    export.unbroken(session)
    initiator.log_out()
    until(lambda: not disk.sysfs.exists(), "the end of the disk")
    until(lambda: target.sessions() == 0, "the end of the session at the target")


def transfers(context: Context, settings: "dict[str, str] | None" = None) -> None:
    """Transfers that travel with their command, and such that the target asks for."""
    with tempfile.NamedTemporaryFile(prefix="tcmu-iscsi-", delete=False) as backing:
        backing.truncate(SIZE)
    path = Path(backing.name)
    context.defer(path.unlink)
    export = Exported(context, backing=f"file:{path}")
    session = export.log_in(settings)
    # Immediate data, one burst, many bursts; and a length that is no multiple of any of them.
    for number, blocks in enumerate((1, 16, 200, 1024 + 77)):
        data = pattern(number, blocks * BLOCK)
        offset = number * 2048 * BLOCK
        session.disk.write(offset // BLOCK, data)
        assert session.disk.read(offset // BLOCK, blocks) == data, f"transfer {number}"
        # Not only consistent in itself: the daemon has put it where it belongs.
        stored = path.read_bytes()[offset : offset + len(data)]
        assert stored == data, f"what the daemon has stored of transfer {number}"
    export.unbroken(session)


@suite.test("what is written over iSCSI comes back, and is what the daemon has stored")
def data_kept(context: Context) -> None:
    transfers(context)


@suite.test("the same with digests and no immediate data")
def digests(context: Context) -> None:
    settings = {
        "node.conn[0].iscsi.HeaderDigest": "CRC32C",
        "node.conn[0].iscsi.DataDigest": "CRC32C",
        "node.session.iscsi.ImmediateData": "No",
        "node.session.iscsi.InitialR2T": "Yes",
    }
    transfers(context, settings)


@suite.test("ext4 over iSCSI keeps what fio has written", limit=60)
def file_system(context: Context) -> None:
    need("mkfs.ext4", "fio", "mount")
    export = Exported(context)
    session = export.log_in()
    node = str(session.disk.block)
    _run("mkfs.ext4", "-q", "-F", "-b", "1024", node)
    where = tempfile.mkdtemp(prefix="tcmu-iscsi-")
    context.defer(lambda: os.rmdir(where))

    def mount() -> None:
        _run("mount", "-t", "ext4", node, where)

    def unmount() -> None:
        if os.path.ismount(where):
            _run("umount", where)

    context.defer(unmount)
    mount()
    job = (
        f"--directory={where}", "--name=job", "--size=1M", "--rw=randrw", "--bsrange=4k-64k",
        "--ioengine=libaio", "--iodepth=8", "--direct=1", "--verify=crc32c", "--verify_fatal=1", "--randseed=17",
        "--fallocate=none", "--output-format=terse",
    )  # fmt: skip
    _run("fio", *job, "--do_verify=1")
    # Once more from the disk: what the file system has cached goes with the mount.
    file = Path(where) / "job.0.0"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    unmount()
    mount()
    equal(hashlib.sha256(file.read_bytes()).hexdigest(), before, "checksum after mounting again")
    unmount()
    _run("fsck.ext4", "-f", "-n", node)
    export.unbroken(session)


def _run(*command: str, seconds: float = 60.0) -> None:
    done = subprocess.run(
        command, check=False, text=True, errors="replace", timeout=seconds * PATIENCE,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]}: status {done.returncode}\n{done.stdout[-1500:]}"


@suite.test("attribute 1, the daemon learns of an ABORT TASK and the session survives it")
def abort(context: Context) -> None:
    export = Exported(context, NOTIFY)
    session = export.log_in()
    log = EhLog(context)
    export.daemon.ctl(f"hold {OWN_READS},count=1")
    task = session.disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK, timeout=1)
    (held,) = export.daemon.ids(read10(OWN, 8))
    equal(task.wait().host_status, DID_TIME_OUT, "host status")
    equal(export.daemon.tmrs(), [("ABORT_TASK", [held])], "notifications")
    equal(export.daemon.wait_event("cancel")["id"], held, "cancelled id")
    equal(log.count(session.disk.address, "finish aborted command"), 1, "aborts that succeeded")
    answer = session.disk.sg_io(read10(0, 8), data_in=8 * BLOCK)
    equal(answer.status, GOOD, "status of the next READ")
    export.unbroken(session)


@suite.test("attribute 1, aborts in the middle of other I/O lose nothing")
def abort_amid(context: Context) -> None:
    export = Exported(context, NOTIFY)
    session = export.log_in()
    disk = session.disk
    data = pattern(3, 64 * BLOCK)
    disk.write(OWN, data)
    # The disk driver sends an aborted READ again, which must be answered in this time.
    disk.set_timeout(int(PACE))
    export.daemon.ctl(f"hold {OWN_READS},count=3")
    tasks = [disk.task_read(OWN + number * 8, 8) for number in range(8)]
    export.daemon.wait_event("hold", count=3)
    for number, task in enumerate(tasks):
        expected = data[number * 8 * BLOCK : (number + 1) * 8 * BLOCK]
        assert task.wait(30) == expected, f"READ {number}"
    names = {name for name, _ in export.daemon.tmrs()}
    equal(names, {"ABORT_TASK"}, "kinds of notifications")
    export.unbroken(session)


@suite.test("attribute 1, LUN RESET lists the commands in flight and the session survives")
def reset(context: Context) -> None:
    export = Exported(context, NOTIFY)
    session = export.log_in()
    export.daemon.ctl(f"hold {OWN_READS}")
    cdbs = [read10(OWN + number * 8, 8) for number in range(4)]
    for cdb in cdbs:
        session.disk.task_sg(cdb, data_in=8 * BLOCK, timeout=20 * PACE)
    held = export.daemon.ids(*cdbs)
    session.disk.task_reset().wait(20)
    equal(export.daemon.tmrs(), [("LUN_RESET", sorted(held))], "notifications")
    export.daemon.ctl("unhold")
    session.disk.sg_io(bytes(6))
    equal(session.disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of a READ")
    export.unbroken(session)


@suite.test("attribute 0, the abort gets no answer in time and the session is lost", limit=60)
def lost(context: Context) -> None:
    export = Exported(context)
    kinds = ("abort_timeout", "lu_reset_timeout", "tgt_reset_timeout")
    session = export.log_in({f"node.session.err_timeo.{kind}": "2" for kind in kinds})
    export.daemon.ctl(f"hold {OWN_READS},count=1")
    task = session.disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK, timeout=1)
    (held,) = export.daemon.ids(read10(OWN, 8))
    until(lambda: session.breaks() or session.state() == "FAILED", "the end of the session", 40)
    equal(export.daemon.tmrs(), [], "notifications")
    equal(export.daemon.held(), [held], "held commands")
    # The new login waits for the old session, which waits for the daemon.
    export.daemon.ctl("release all")
    task.wait(40)
    until(lambda: session.state() == "LOGGED_IN", "the new session", 40)
    assert export.target.logins() > 1, "no new login"
    answer = until(lambda: _good_read(session), "a READ that succeeds")
    equal(answer, True)


def _good_read(session: Session) -> bool:
    return session.disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status == GOOD


@suite.test("logout during I/O ends, and the next login finds what was written", limit=60)
def log_out(context: Context) -> None:
    need("fio")
    export = Exported(context, NOTIFY)
    initiator = export.initiator()
    session = initiator.log_in()
    data = pattern(4, 256 * BLOCK)
    session.disk.write(16384, data)
    load = (
        "--name=job", f"--filename={session.disk.block}", "--rw=randrw", "--bs=4k", "--size=8M",
        "--direct=1", "--ioengine=libaio", "--iodepth=16", "--time_based", "--runtime=300",
    )  # fmt: skip
    null = subprocess.DEVNULL
    writer = subprocess.Popen(
        ["fio", *load], stdin=null, stdout=null, stderr=null, start_new_session=True
    )

    def end_writer() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(writer.pid, signal.SIGKILL)
        writer.wait(20 * PATIENCE)

    context.defer(end_writer)
    before = len(export.daemon.events("cmd"))
    until(lambda: len(export.daemon.events("cmd")) > before + 200, "I/O that flows")
    assert writer.poll() is None, "fio ended before the logout"
    initiator.log_out()
    until(lambda: export.target.sessions() == 0, "the end of the session at the target")
    assert writer.wait(30 * PATIENCE), "fio noticed nothing"
    # Everything that was in flight has been answered.
    until(lambda: "outstanding=0 " in export.daemon.ctl("stats"), "an idle daemon")
    assert initiator.log_in().disk.read(16384, 256) == data
    equal(export.target.errors(), 0, "errors at the target")


@suite.test("logout waits for the commands that the daemon holds, and no longer")
def log_out_held(context: Context) -> None:
    export = Exported(context)
    initiator = export.initiator()
    session = initiator.log_in()
    export.daemon.ctl(f"hold {OWN_READS},count=4")
    cdbs = [read10(OWN + number * 8, 8) for number in range(4)]
    tasks = [session.disk.task_sg(cdb, data_in=8 * BLOCK) for cdb in cdbs]
    export.daemon.ids(*cdbs)
    logout = Task(context, initiator.log_out, "logout")
    logout.still_blocked(0.5 * PACE)
    export.daemon.ctl("release all")
    logout.wait(30)
    until(lambda: export.target.sessions() == 0, "the end of the session at the target")
    for task in tasks:
        task.wait()
    equal(export.daemon.held(), [], "held commands")


@suite.test("a LUN RESET through one target's session leaves the session of another alone")
def two(context: Context) -> None:
    export = Exported(context, NOTIFY)
    other = export.more()
    session = export.log_in()
    resetting = export.initiator(other).log_in()
    data = pattern(5, 32 * BLOCK)
    session.disk.write(OWN, data)
    export.daemon.ctl(f"hold {OWN_READS},count=2")
    tasks = [each.disk.task_read(OWN, 32) for each in (session, resetting)]
    held = export.daemon.wait_held(2)
    resetting.disk.task_reset().wait(20)
    equal(export.daemon.tmrs()[0], ("LUN_RESET", sorted(held)), "first notification")
    for task in tasks:
        assert task.wait(30) == data
    export.unbroken(session)
    equal((resetting.state(), other.logins()), ("LOGGED_IN", 1), "the other session")


def libiscsi_tests(context: Context, wanted: dict[str, set[str]]) -> Exported:
    """Runs tests of iscsi-test-cu with two paths to the disk.

    `wanted` maps a suite or a single test to the names of the tests in it that must pass.
    """
    need(libiscsi.PROGRAM)
    export = Exported(context, NOTIFY)
    folder = Path(tempfile.mkdtemp(prefix="tcmu-libiscsi-"))
    context.defer(lambda: shutil.rmtree(folder))
    run = libiscsi.runner([export.target.url()] * 2, folder)
    for key, needed in wanted.items():
        text, _ = run(f"ALL.{key}", 25 * PATIENCE)
        context.on_failure(lambda text=text: text[-2000:])
        outcomes = {
            result.name.partition(".")[2]: result.outcome.value
            for result in libiscsi.parse(text).results
        }
        found = {name: outcomes.get(name, "not run") for name in needed}
        equal(found, dict.fromkeys(needed, "PASS"), f"what {key} gave")
    return export


@suite.test("libiscsi's tests of task management pass, and the daemon hears of the resets")
def libiscsi_task_management(context: Context) -> None:
    export = libiscsi_tests(
        context,
        {
            # As a suite: the second relies on what the first has left in the process.
            "iSCSITMF": {"AbortTaskSimpleAsync", "LUNResetSimpleAsync"},
            "MultipathIO.Reset": {"Reset"},
            "Reserve6.LUNReset": {"LUNReset"},
        },
    )
    kinds = [kind for kind, _ in export.daemon.tmrs()]
    assert kinds.count("LUN_RESET") >= 3, f"notifications: {kinds}"


@suite.test("libiscsi's tests of capacity, limits and command numbering pass")
def libiscsi_commands(context: Context) -> None:
    libiscsi_tests(
        context,
        {
            "ReadCapacity16": {"Simple", "Alloclen"},
            "Read10.BeyondEol": {"BeyondEol"},
            "Write10.BeyondEol": {"BeyondEol"},
            "iSCSIcmdsn": {"iSCSICmdSnTooHigh", "iSCSICmdSnTooLow"},
        },
    )


@suite.test("nothing is left behind, and the target's module can be unloaded")
def removal(context: Context) -> None:
    inner = Context()
    context.defer(inner.clean_up)
    export = Exported(inner, NOTIFY)
    session = export.log_in()
    session.disk.write(0, pattern(6, 64 * BLOCK))
    errors = inner.clean_up()
    assert not errors, "\n".join(errors)
    remove_leftovers()
    until(lambda: not iscsi.left_over(), "the end of what is left over")
    assert not session.disk.sysfs.exists(), "the disk is still there"
    iscsi.unload()


if __name__ == "__main__":
    suite.run()

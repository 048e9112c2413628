#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""open-iscsi logs in to LIO over iSER, and works on the disk, while things go."""

import os
import re
import time

from isrlib.login import Login
from isrlib.module import ISER
from isrlib.rig import SOON
from isrlib.suite import LOGIN_PROGRAMS, Suite
from isrlib.target import Target
from ksftlib.ktap import PATIENCE, Context, diag, equal
from ksftlib.wait import Task, until

suite = Suite(LOGIN_PROGRAMS)

#: Logins of the test that counts them.
_CYCLES = 10

#: Has fio take some ten seconds. (It limits bytes, of so many of the smallest blocks.)
_SLOWLY = ("--rate_iops=10,10", "--bsrange=64k-64k")

#: Seconds for fio.
_FIO = 60.0

#: Seconds for a session that waits no longer, or is made anew.
_RECOVERY = 60.0


@suite.test("data is right from login to logout", limit=90)
def data(context: Context) -> None:
    rig = Login(context)
    disk = rig.initiator.login()
    fio = rig.verify(disk, "--numjobs=2", "--offset_increment=4m")
    until(fio.done, "the end of fio", _FIO)
    fio.check()
    equal(rig.daemon.conn_errors(), 0, "connection errors")
    rig.initiator.logout()
    rig.all_given_back()


@suite.test("logins and logouts leave nothing behind", limit=120)
def cycles(context: Context) -> None:
    rig = Login(context)
    for number in range(_CYCLES):
        disk = rig.initiator.login()
        page = os.urandom(4096)
        disk.write(page, number * 4096)
        equal(disk.read(number * 4096) == page, True, "whether what was read was written")
        # The target closes the connection when it has answered a logout, perhaps before iscsid
        # does, which is an error of the connection, too.
        errors = rig.daemon.conn_errors()
        assert errors <= number, f"{errors} connection errors in {number} logouts"
        rig.initiator.logout()
    rig.all_given_back()


@suite.test("a target that comes back loses no I/O", limit=120)
def target_returns(context: Context) -> None:
    rig = Login(context)
    disk = rig.initiator.login()
    fio = rig.verify(disk, *_SLOWLY)
    rig.busy(disk)
    rig.target.disable()
    until(lambda: rig.daemon.conn_errors() == 1, "a connection error", _RECOVERY)
    until(lambda: rig.initiator.state() == "FAILED", "the session to wait", _RECOVERY)
    rig.target.enable()
    until(lambda: rig.initiator.state() == "LOGGED_IN", "the session to be there", _RECOVERY)
    until(fio.done, "the end of fio", _FIO)
    fio.check()
    rig.initiator.logout()
    rig.all_given_back()


#: How often the target goes and comes back under a full load.
_RETURNS = 6


@suite.test("a target that comes back again and again refuses no I/O", limit=150)
def target_returns_often(context: Context) -> None:
    rig = Login(context, replacement=600)
    disk = rig.initiator.login()
    # Whatever is given to the connection while it ends has to come again. Threads that give are
    # met there by chance.
    fio = rig.verify(
        disk, "--ioengine=libaio", "--iodepth=8", "--numjobs=4", "--offset_increment=4m",
        "--verify=0", "--do_verify=0", "--rw=randrw", "--bsrange=4k-4k", "--time_based",
        "--runtime=3600", "--exitall_on_error=1",
    )  # fmt: skip
    for number in range(_RETURNS):
        rig.busy(disk, 200)
        rig.target.disable()
        errors = number + 1
        until(lambda: rig.daemon.conn_errors() >= errors, "a connection error", _RECOVERY)
        until(lambda: rig.initiator.state() == "FAILED", "the session to wait", _RECOVERY)
        rig.target.enable()
        until(lambda: rig.initiator.state() == "LOGGED_IN", "the session to be there", _RECOVERY)
        equal(fio.done(), False, "whether an error has ended fio")
    rig.busy(disk, 200)
    fio.process.terminate()
    until(fio.done, "the end of fio", _FIO)
    errors_of_fio = set(re.findall(r"err= *(\d+)", fio.output()))
    equal(errors_of_fio, {"0"}, "errors of fio")
    # Of commands none; iscsid may have sent something too late.
    diag(f"tasks that were refused: {rig.daemon.log.count('Failed to init task')}")
    rig.initiator.logout()
    rig.all_given_back()


def _soon(what: str, start: float) -> None:
    took = time.monotonic() - start
    diag(f"{what}: {took:.1f} s")
    assert took < SOON * PATIENCE, f"{what} took {took:.1f} s"


@suite.test("a target that stays away fails I/O in time", limit=120)
def target_goes(context: Context) -> None:
    rig = Login(context, replacement=2)
    disk = rig.initiator.login()
    rig.verify(disk, *_SLOWLY)
    rig.busy(disk)
    reading = Task(context, disk.read_error, "a read")
    rig.target.disable()
    until(lambda: rig.daemon.conn_errors() >= 1, "a connection error", _RECOVERY)
    until(lambda: rig.initiator.state() == "FREE", "the session to give up", _RECOVERY)
    equal(disk.read_error() != "", True, "whether a read fails")
    reading.wait(_RECOVERY)
    start = time.monotonic()
    rig.initiator.logout()
    _soon("logging out", start)
    rig.all_given_back()


@suite.test("a device that goes under I/O, and the module after it", limit=120)
def device_goes(context: Context) -> None:
    rig = Login(context, replacement=2)
    disk = rig.initiator.login()
    rig.verify(disk, *_SLOWLY)
    rig.busy(disk)
    start = time.monotonic()
    rig.wire.delete_device()
    _soon("deleting the device", start)
    equal(rig.daemon.conn_errors(), 1, "connection errors")
    until(lambda: rig.initiator.state() == "FREE", "the session to give up", _RECOVERY)
    equal(disk.read_error() != "", True, "whether a read fails")
    equal(rig.daemon.leaks(), [], "data that is still mapped")
    start = time.monotonic()
    rig.initiator.logout()
    _soon("logging out", start)
    until(lambda: ISER.references() == 0, "no user of the module")
    start = time.monotonic()
    equal(ISER.delete(), 0, "result of unloading the module")
    _soon("unloading", start)
    ISER.load()
    # The target listens on the device no more.
    rig.target.remove()
    rig.wire.add_device()
    Target(context, megabytes=1)
    rig.initiator.login().read()
    rig.initiator.logout()


if __name__ == "__main__":
    suite.run()

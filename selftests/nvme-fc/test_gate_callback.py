#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A driver that unregisters a port gets one callback, when nobody uses the port any more."""

import time

from ksftlib.ktap import Context, equal
from nvmelib.gate import WIDE, Counts, Lldd, Port, Suite

suite = Suite()

#: A port that was unregistered and called back once.
ONCE = Counts(unregistrations=1, deletions=1, kept=0)

#: Times that what depends on threads is tried.
TIMES = 5


def unregister_both(lldd: Lldd, local: Port, remote: Port) -> None:
    """The remote port goes, then the local port: one callback each."""
    remote.unregister()
    local.unregister()
    remote.wait_called_back()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.check_no_faults()


@suite.test("without association the callback comes at once")
def unused(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    for times in range(1, TIMES + 1):
        remote.unregister()
        equal(remote.counts(), Counts(times, times, 0), "callbacks of the remote port")
        local.unregister()
        equal(local.counts(), Counts(times, times, 0), "callbacks of the local port")
        local.register()
        remote.register()
    lldd.check_no_faults()


@suite.test("with an association")
def live(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    unregister_both(lldd, local, remote)
    equal(controller.state(), "connecting", "state without port")


@suite.test("with an association that is deleted with the port")
def disconnected(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    task = controller.disconnecting(context)
    unregister_both(lldd, local, remote)
    task.wait()


@suite.test("while an association is created whose request is held, and aborting that takes long")
def creating(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    remote.order("requests hold")
    connecting = lldd.connecting(remote)
    remote.wait("requests")
    lldd.sleep("ls_abort")
    unregister_both(lldd, local, remote)
    connecting.wait()


@suite.test("while a controller connects again, and aborting that takes long")
def reconnecting(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    remote.order("requests hold")
    lldd.resetting(controller)
    # The end of the last association, and the beginning of the next one.
    remote.wait("requests", 2)
    lldd.sleep("ls_abort")
    unregister_both(lldd, local, remote)


@suite.test("while the target refuses a controller again and again", limit=60)
def refused(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    remote.order("requests reject")
    lldd.resetting(controller)
    controller.wait_state("connecting")
    for times in range(1, TIMES + 1):
        remote.unregister()
        remote.wait_called_back()
        equal(remote.counts(), Counts(times, times, 0), "callbacks")
        remote.register()
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal(local.counts(), ONCE, "callbacks of the local port")
    lldd.check_no_faults()


@suite.test("while a command is held that begins an association")
def command(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    remote.order("commands hold")
    lldd.connecting(remote)
    remote.wait("commands")
    remote.unregister()
    local.unregister()
    # Nobody aborts it: the driver is used.
    time.sleep(2 * WIDE / 1000)
    equal((remote.values()["deletions"], local.values()["deletions"]), (0, 0), "callbacks")
    lldd.order("reset")
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.check_no_faults()


@suite.test("while an association is deleted, which takes long")
def deleting(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.connect(remote)
    lldd.sleep("xmt_ls_rsp", 4 * WIDE)
    remote.order("disconnect")
    # The deletion gives the driver the response.
    remote.wait("running")
    unregister_both(lldd, local, remote)
    equal(remote.values()["responses"], 1, "responses")


@suite.test("the local port first")
def local_first(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.connect(remote)
    local.unregister()
    equal(local.values()["deletions"], 0, "callbacks while there is an association")
    remote.unregister()
    local.wait_called_back()
    remote.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.check_no_faults()


@suite.test("the local port first, without association")
def local_first_unused(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    local.unregister()
    equal(local.counts(), ONCE, "callbacks of the local port")
    remote.unregister()
    equal(remote.counts(), ONCE, "callbacks of the remote port")
    lldd.check_no_faults()


@suite.test("two remote ports of one local port")
def two(context: Context) -> None:
    lldd = Lldd(context)
    local, first = lldd.ports_registered()
    second = lldd.remote(1)
    second.register()
    lldd.connect(first)
    second.order("requests hold")
    connecting = lldd.connecting(second)
    second.wait("requests")
    lldd.sleep("ls_abort")
    local.unregister()
    tasks = [port.task("unregister") for port in (first, second)]
    for task in [*tasks, connecting]:
        task.wait()
    for port in (first, second, local):
        port.wait_called_back()
        equal(port.counts(), ONCE, f"callbacks of {port.name}")
    lldd.check_no_faults()


@suite.test("a callback that takes long is not repeated")
def slow_callback(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.connect(remote)
    lldd.sleep("remoteport_delete", 2 * WIDE)
    lldd.sleep("localport_delete", 2 * WIDE)
    tasks = [remote.task("unregister"), local.task("unregister")]
    for task in tasks:
        task.wait()
    for port in (remote, local):
        port.wait_called_back()
        equal(port.counts(), ONCE, f"callbacks of {port.name}")
    lldd.check_no_faults()


if __name__ == "__main__":
    suite.run()

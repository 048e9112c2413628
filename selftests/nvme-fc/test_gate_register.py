#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ports that are registered again: when that is refused, when it waits, who gets a callback."""

import errno
from collections.abc import Callable

from ksftlib.ktap import Context, equal, raises_errno
from ksftlib.wait import Task
from nvmelib.gate import WIDE, Counts, Lldd, Port, Suite
from nvmelib.host import Controller

suite = Suite()


def registering(port: Port, parameter: str = "") -> Callable[[], None]:
    """What registers a port."""
    return lambda: port.register(parameter)


def lose(lldd: Lldd, delay: int = 1, dev_loss: str = "") -> tuple[Port, Port, Controller]:
    """Ports that are deleted, and a controller that waits for them."""
    local, remote = lldd.local(), lldd.remote()
    local.register()
    remote.register(dev_loss)
    controller = lldd.connect(remote, delay=delay)
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    return local, remote, controller


def delete_slowly(lldd: Lldd, remote: Port) -> None:
    """The controller's association is being deleted for a while, and uses the driver."""
    lldd.sleep("xmt_ls_rsp", 8 * WIDE)
    remote.order("disconnect")
    remote.wait("running")


@suite.test("ports that are registered are refused")
def registered(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    raises_errno(errno.EEXIST, registering(local), "registering the local port twice")
    raises_errno(errno.ESTALE, registering(remote), "registering the remote port twice")
    lldd.check_no_faults()


@suite.test("templates that lack something, and no port")
def parameters(context: Context) -> None:
    lldd = Lldd(context)
    local = lldd.local()
    for template in ("no-abort", "no-delete", "no-queues"):
        raises_errno(errno.EINVAL, registering(local, template), f"registering {template}")
    lldd.order("null")


@suite.test("the driver's orders are checked")
def orders(context: Context) -> None:
    lldd = Lldd(context)
    for bad in ("", "local", "local 9 register", "remote 0 register", "sleep ls_abort", "reset 1"):
        raises_errno(errno.EINVAL, lambda order=bad: lldd.order(order), f"order {bad!r}")
    raises_errno(errno.ENOENT, lldd.local().unregister, "unregistering what is not registered")


@suite.test("a remote port that is used")
def used(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    delete_slowly(lldd, remote)
    remote.unregister()
    remote.register()
    equal(remote.counts(), Counts(1, 0, 1), "callbacks")
    controller.wait_live()
    equal(remote.counts(), Counts(1, 0, 1), "callbacks")
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal(remote.counts(), Counts(2, 1, 1), "callbacks")
    lldd.check_no_faults()


@suite.test("a local port that is used, with its template and with another one")
def used_local(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    delete_slowly(lldd, remote)
    local.unregister()
    raises_errno(errno.EBUSY, registering(local, "twin"), "registering with another template")
    local.register()
    equal(local.counts(), Counts(1, 0, 1), "callbacks")
    controller.wait_live()
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (Counts(1, 1, 0), Counts(2, 1, 1)), "callbacks")
    # Now nobody uses it.
    local.register("twin")
    lldd.check_no_faults()


@suite.test("a port whose callback is running")
def owed(context: Context) -> None:
    lldd = Lldd(context)
    _local, remote, controller = lose(lldd)
    lldd.local().register()
    remote.register()
    controller.wait_live()
    lldd.sleep("remoteport_delete", 8 * WIDE)
    unregistering = remote.task("unregister")
    remote.wait("deletions", 2)
    remote.register()
    values = remote.values()
    equal((values["owed"], values["registered"]), (0, 1), "a callback that is owed, registered")
    unregistering.wait()
    controller.wait_live()
    equal(remote.counts(), Counts(2, 2, 0), "callbacks")
    lldd.check_no_faults()


@suite.test("a local port whose callback is running")
def owed_local(context: Context) -> None:
    lldd = Lldd(context)
    local, _remote, _controller = lose(lldd)
    local.register()
    lldd.sleep("localport_delete", 8 * WIDE)
    unregistering = local.task("unregister")
    local.wait("deletions", 2)
    local.register()
    values = local.values()
    equal((values["owed"], values["registered"]), (0, 1), "a callback that is owed, registered")
    unregistering.wait()
    equal(local.counts(), Counts(2, 2, 0), "callbacks")
    lldd.check_no_faults()


@suite.test("ports that are unregistered from inside their callbacks")
def inside(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    for port in (remote, local):
        port.order("inside unregister")
        port.unregister()
        equal(port.values()["inside"], -errno.EINVAL, f"unregistering {port.name} once more")
        equal(port.counts(), Counts(1, 1, 0), "callbacks")
    lldd.check_no_faults()


@suite.test("a driver that asks for more memory than there is")
def memory(context: Context) -> None:
    lldd = Lldd(context)
    local, remote, controller = lose(lldd)
    for template in ("more-local", "more-remote", "more-command"):
        raises_errno(errno.EINVAL, registering(local, template), f"registering {template}")
    local.register("twin")
    remote.register()
    controller.wait_live()
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    local.register("less")
    local.unregister()
    # Objects may have been made since, with less.
    raises_errno(errno.EINVAL, registering(local), "registering with more again")
    lldd.check_no_faults()


@suite.test("a driver that has more queues than a controller", c_wedges=True)
def queues(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote, queues=4)
    equal(controller.number("queue_count"), 2, "queues")
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    local.register("more-queues")
    remote.register()
    controller.wait_live()
    equal(controller.number("queue_count"), 2, "queues")
    lldd.check_no_faults()


@suite.test("controllers are live again at once")
def resumed(context: Context) -> None:
    lldd = Lldd(context)
    local, remote, controller = lose(lldd, delay=3600, dev_loss="3600")
    local.register()
    remote.register()
    # An hour later it would try again by itself.
    controller.wait_live(8)
    equal((remote.counts(), local.counts()), (Counts(1, 1, 0), Counts(1, 1, 0)), "callbacks")
    lldd.check_no_faults()


@suite.test("controllers do not wait for a port with a dev_loss_tmo of 0")
def immediate(context: Context) -> None:
    lldd = Lldd(context)
    _local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    remote.order("dev-loss 0")
    remote.unregister()
    controller.wait_gone()
    remote.wait_called_back()
    equal(remote.counts(), Counts(1, 1, 0), "callbacks")
    raises_errno(errno.ENOENT, lambda: remote.order("dev-loss 1"), "changing it without port")
    lldd.check_no_faults()


@suite.test("controllers wait for a port until dev_loss_tmo is over")
def expired(context: Context) -> None:
    lldd = Lldd(context)
    local = lldd.local()
    local.register()
    remote = lldd.remote()
    remote.register("2")
    controller = lldd.connect(remote, delay=3600)
    remote.unregister()
    remote.wait_called_back()
    equal(remote.counts(), Counts(1, 1, 0), "callbacks")
    controller.wait_gone()
    remote.register()
    equal(remote.counts(), Counts(1, 1, 0), "callbacks")
    lldd.check_no_faults()


@suite.test("a port that is lost and found without end", limit=60)
def many(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    for _ in range(30):
        remote.unregister()
        remote.register()
    controller.wait_live()
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    counts = remote.counts()
    equal(counts.deletions + counts.kept, 31, "callbacks, and ports registered before theirs")
    lldd.check_no_faults()


@suite.test("two threads unregister and register a port", limit=60)
def threads(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)

    def bounce() -> int:
        done = 0
        for _ in range(100):
            for words in ("unregister", "register"):
                try:
                    remote.order(words)
                    done += 1
                except OSError as error:
                    # The other one was first, or is about to be.
                    expected = (errno.ENOENT, errno.EAGAIN, errno.ESTALE)
                    assert error.errno in expected, f"{words}: {error}"
        return done

    tasks = [Task(context, bounce, f"thread {number}") for number in range(2)]
    assert sum(task.wait(60) for task in tasks) > 100
    values = remote.values()
    if not values["registered"]:
        remote.register()
    controller.wait_live()
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    counts = remote.counts()
    equal(counts.deletions + counts.kept, counts.unregistrations, "callbacks")
    lldd.check_no_faults()


if __name__ == "__main__":
    suite.run()

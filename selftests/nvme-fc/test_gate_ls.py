#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Requests of the target (LS) are responded to before the driver is called back."""

from ksftlib.ktap import Context, equal
from nvmelib.gate import WIDE, Counts, Lldd, Suite

suite = Suite()

ONCE = Counts(unregistrations=1, deletions=1, kept=0)

#: No association has this number.
UNKNOWN = 0xFFFF


@suite.test("the target disconnects an association")
def disconnect(context: Context) -> None:
    lldd = Lldd(context)
    _local, remote = lldd.ports_registered()
    controller = lldd.connect(remote)
    association = remote.values()["association"]
    remote.order("disconnect")
    remote.wait("responses")
    remote.wait("association", association + 1)
    controller.wait_live()
    lldd.check_no_faults()


@suite.test("a response that takes long while the port is unregistered")
def late(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.sleep("xmt_ls_rsp", 4 * WIDE)
    remote.order(f"receive {UNKNOWN}")
    remote.wait("running")
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    equal(remote.values()["responses"], 1, "responses")
    lldd.check_no_faults()


@suite.test("a response whose transmission is over after the port is deleted")
def held(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.order("responses hold")
    remote.order(f"receive {UNKNOWN}")
    remote.wait("responses-held")
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.order("responses accept")
    equal(remote.values()["responses-held"], 0, "responses that are held")
    lldd.check_no_faults()


@suite.test("requests without end while the port comes and goes")
def many(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    for times in range(1, 21):
        for _ in range(5):
            remote.order(f"receive {UNKNOWN}")
        remote.unregister()
        remote.wait("deletions", times)
        equal(remote.values()["responses"], 5 * times, "responses")
        remote.register()
    remote.unregister()
    local.unregister()
    equal(remote.counts(), Counts(21, 21, 0), "callbacks")
    lldd.check_no_faults()


@suite.test("the target disconnects no association while a controller has none", c_wedges=True)
def none(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    controller = lldd.connect(remote, delay=3600)
    remote.order("requests reject")
    lldd.resetting(controller)
    controller.wait_state("connecting")
    remote.order("receive 0")
    remote.wait("responses")
    remote.unregister()
    local.unregister()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.check_no_faults()


@suite.test("the target disconnects the same association twice")
def twice(context: Context) -> None:
    lldd = Lldd(context)
    local, remote = lldd.ports_registered()
    lldd.connect(remote)
    lldd.sleep("xmt_ls_rsp")
    remote.order("disconnect")
    remote.order("disconnect")
    remote.unregister()
    remote.wait("responses", 2)
    local.unregister()
    local.wait_called_back()
    equal((remote.counts(), local.counts()), (ONCE, ONCE), "callbacks")
    lldd.check_no_faults()


if __name__ == "__main__":
    suite.run()

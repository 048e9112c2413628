#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A driver that registers a port from inside of its callback, for which it would have to wait."""

import errno

from ksftlib.ktap import Context, equal
from nvmelib.gate import Counts, Lldd, Suite

suite = Suite()


@suite.test("is refused, and does not wait for ever", limit=60)
def inside(context: Context) -> None:
    lldd = Lldd(context)
    # Of two local ports, so that they wait at the same time.
    ports = []
    for number in range(2):
        lldd.local(number).register()
        lldd.remote(0, number).register()
    ports = [lldd.remote(0, 0), lldd.local(1)]
    lldd.remote(0, 1).unregister()
    tasks = []
    for port in ports:
        port.order("inside register")
        tasks.append(port.task("unregister"))
    for task in tasks:
        task.wait(50)
    for port in ports:
        equal(port.values()["inside"], -errno.EBUSY, f"registering {port.name} from inside")
        equal(port.counts(), Counts(1, 1, 0), "callbacks")
        # Once that has returned there is nothing in the way.
        port.register()
    lldd.check_no_faults()


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Notifications that wait for space in a full ring."""

from ksftlib.ktap import Context, equal
from tcmulib.flooded import FLOOD, MARKED, Flooded
from tcmulib.scsi import GOOD, OWN_READS
from tcmulib.suite import Suite
from tcmulib.tmr import functions_wait

suite = Suite()


@suite.test("no command overtakes a notification, and no id that it lists is given away", limit=90)
def overtaking(context: Context) -> None:
    flooded = Flooded(context)
    daemon = flooded.rig.daemon
    reset = flooded.reset()
    functions_wait()
    reset.still_blocked(1.0)
    # Space for some commands, and free ids, but not yet enough for the notification.
    daemon.ctl(f"hold {OWN_READS}")
    daemon.ctl("resume")
    held = daemon.wait_held(FLOOD, 60)
    # Of the other disk than that of the marked READ: what the reset has aborted is tried again, and
    # stops its own disk until nothing of it is in flight.
    for ident in flooded.sent_by(1, held)[:40]:
        daemon.ctl(f"release {ident}")
    marked = flooded.send_marked()
    marked.still_blocked(0.5)
    daemon.ctl("unhold")
    daemon.ctl("release all")
    reset.wait(40)
    equal(marked.wait(40).status, GOOD, "status of the marked READ")
    flooded.finish()
    events = daemon.events()
    at = next(place for place, event in enumerate(events) if event.name == "tmr")
    equal(events[at]["type_name"], "LUN_RESET", "notification")
    equal(sorted(events[at]["ids"]), sorted(held), "listed ids")
    early = [
        event["id"] for event in events[:at] if event.name == "cmd" and event["cdb"] == MARKED.hex()
    ]
    equal(early, [], "ids of commands that came before the notification, but were sent after it")


@suite.test("reset_ring discards notifications that wait, and everything goes on", limit=90)
def discarded(context: Context) -> None:
    flooded = Flooded(context)
    reset = flooded.reset()
    functions_wait()
    reset.still_blocked(1.0)
    flooded.rig.device.action("reset_ring", 1)
    flooded.rig.daemon.ctl("resume")
    reset.wait(40)
    flooded.finish()
    equal(flooded.rig.daemon.tmrs(), [], "notifications")
    # The next one comes again.
    flooded.resetter.lun_reset()
    flooded.rig.daemon.wait_event("tmr")
    equal(flooded.rig.daemon.tmrs(), [("LUN_RESET", [])], "notifications afterwards")


if __name__ == "__main__":
    suite.run()

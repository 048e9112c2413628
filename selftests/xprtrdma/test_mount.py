#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mounts over RDMA that come and go, and the module that goes after them."""

from ksftlib.ktap import Context, equal
from nfslib.rig import Rig
from nfslib.suite import Suite

suite = Suite()


@suite.test("mounting, a file, and unmounting over siw")
def siw(context: Context) -> None:
    rig = Rig(context, "siw")
    (rig.mount.path / "a").write_text("text")
    equal((rig.server.folder / "a").read_text(), "text", "content at the server")
    rig.mount.unmount()


if __name__ == "__main__":
    suite.run()

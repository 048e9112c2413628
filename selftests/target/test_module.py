#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading target_core_user."""

from pathlib import Path

from tcmulib.configfs import Device, Hba, read
from tcmulib.ktap import Context, Skip, Suite, equal, implementation
from tcmulib.module import MODULE, available, loaded, modprobe, references, reload
from tcmulib.rig import Rig, pattern
from tcmulib.scsi import BLOCK

suite = Suite()


@suite.test("an idle module can be unloaded and loaded again, many times")
def many_times(context: Context) -> None:
    if not available():
        raise Skip(f"modprobe does not know {MODULE}")
    before = implementation()
    for _ in range(5):
        reload()
    equal(implementation(), before, "implementation after loading it again")


def parameter(name: str) -> str:
    """Value of a parameter of the module."""
    return read(Path("/sys/module") / MODULE / "parameters" / name)


@suite.test("netlink can be blocked and reset from the moment of loading on")
def loaded_blocked(context: Context) -> None:
    if not available():
        raise Skip(f"modprobe does not know {MODULE}")
    context.defer(reload)
    reload("block_netlink=1", "reset_netlink=1")
    equal(parameter("block_netlink"), "blocked", "block_netlink")
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    # Only what needs a reply is held back.
    device.enable()


@suite.test("the limit of all data areas can be given when the module is loaded", c_wedges=True)
def loaded_limited(context: Context) -> None:
    if not available():
        raise Skip(f"modprobe does not know {MODULE}")
    context.defer(reload)
    reload("global_max_data_area_mb=16")
    equal(parameter("global_max_data_area_mb"), "16", "global_max_data_area_mb")
    device = Device(context)
    device.control("max_data_area_mb=17")
    equal(device.attrib("max_data_area_mb"), "16", "max_data_area_mb")


@suite.test("a module with an HBA stays, and goes when the HBA has gone")
def with_hba(context: Context) -> None:
    equal(references(), 0, "users before")
    hba = Hba(context)
    assert references() > 0, "no users with an HBA"
    assert modprobe("--remove", MODULE).returncode != 0, "it could be removed"
    assert loaded()
    hba.remove()
    equal(references(), 0, "users afterwards")
    reload()


@suite.test("a module with an enabled device stays")
def with_device(context: Context) -> None:
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    assert modprobe("--remove", MODULE).returncode != 0, "it could be removed"
    device.node()
    device.remove()
    device.hba.remove()
    equal(references(), 0, "users afterwards")


@suite.test("a device works after every reload, and the module goes after every device")
def used_each_time(context: Context) -> None:
    for turn in range(3):
        inner = Context()
        try:
            rig = Rig(inner)
            disk = rig.disk()
            data = pattern(turn, 64 * BLOCK)
            disk.write(0, data)
            assert disk.read(0, 64) == data, f"data in turn {turn}"
        finally:
            errors = inner.clean_up()
        equal(errors, [], "errors while cleaning up")
        equal(references(), 0, "users of the idle module")
        reload()


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Creating, enabling, showing and removing HBAs and devices through configfs."""

import errno
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context, equal, raises_errno
from tcmulib.configfs import CORE, Device, Hba, remove_leftovers
from tcmulib.ring import FLAG_KEEP_BUF, FLAG_OOOC, FLAG_READ_LEN, FLAG_TMR, Ring
from tcmulib.suite import Suite

suite = Suite()

#: Attributes and their values before a device is enabled.
DEFAULTS = {
    "alua_support": "1",
    "cmd_ring_size_mb": "8",
    "cmd_time_out": "30",
    "complete_type": "0",
    "data_pages_per_blk": "1",
    "dev_config": "",
    "dev_size": "0",
    "emulate_pr": "1",
    "emulate_write_cache": "0",
    "enforce_pr_isids": "1",
    "force_pr_aptpl": "0",
    "hw_block_size": "0",
    "hw_max_sectors": "0",
    "hw_pi_prot_type": "0",
    "hw_queue_depth": "0",
    "max_data_area_mb": "1024",
    "nl_reply_supported": "0",
    "pgr_support": "1",
    "qfull_time_out": "-1",
    "submit_type": "0",
    "tmr_notification": "0",
}

SIZE = 16 << 20


def small(context: Context, name: str = "disk", hba: "Hba | None" = None) -> Device:
    """A device that maps little memory, not enabled."""
    device = Device(context, name, hba)
    device.control(f"dev_size={SIZE},max_data_area_mb=1,cmd_ring_size_mb=1")
    return device


@suite.test("an HBA appears, shows its plugin and goes")
def hba_cycle(context: Context) -> None:
    hba = Hba(context)
    assert "user" in read(hba.path / "hba_info"), read(hba.path / "hba_info")
    hba.remove()
    assert not hba.path.exists()


@suite.test("a new device has the attributes and defaults of the interface")
def defaults(context: Context) -> None:
    device = Device(context)
    found = {path.name: read(path) for path in (device.path / "attrib").iterdir()}
    equal(found, DEFAULTS, "attributes")


@suite.test("a new device has its actions, and no UIO node")
def actions(context: Context) -> None:
    device = Device(context)
    equal(
        sorted(path.name for path in (device.path / "action").iterdir()),
        ["block_dev", "free_kept_buf", "reset_ring"],
        "actions",
    )
    equal(read(device.path / "action" / "block_dev"), "unblocked", "block_dev")
    equal(device.uio(), None, "UIO device")


@suite.test("the info file shows the parameters of a new device")
def info_default(context: Context) -> None:
    device = Device(context)
    equal(
        device.info(),
        "Config: NULL Size: 0 MaxDataAreaMB: 1024 DataPagesPerBlk: 1 CmdRingSizeMB: 8",
        "info",
    )


@suite.test("the info file shows the parameters that were set")
def info_set(context: Context) -> None:
    device = Device(context)
    device.control(
        f"dev_config=ram/a b,dev_size={SIZE},max_data_area_mb=4,"
        "data_pages_per_blk=2,cmd_ring_size_mb=2"
    )
    equal(
        device.info(),
        f"Config: ram/a b Size: {SIZE} MaxDataAreaMB: 4 DataPagesPerBlk: 2 CmdRingSizeMB: 2",
        "info",
    )


@suite.test("enabling makes a UIO device with the name and size of the interface")
def enable(context: Context) -> None:
    device = small(context)
    device.control("dev_config=some/path")
    device.enable()
    equal(read(device.path / "enable"), "1", "enable")
    name = device.uio()
    assert name, "no UIO device"
    uio = Path("/sys/class/uio") / name
    equal(read(uio / "name"), device.uio_name() + "/some/path", "name")
    equal(read(uio / "version"), "2", "version")
    equal(int(read(uio / "maps/map0/size"), 16), (1 << 20) + (1 << 20), "size of map0")
    equal(read(uio / "maps/map0/name"), "tcm-user command & data buffer", "name of map0")
    assert device.node().is_char_device()


@suite.test("a UIO device without a configuration string has the short name")
def short_name(context: Context) -> None:
    device = small(context)
    device.enable()
    equal(read(Path("/sys/class/uio") / str(device.uio()) / "name"), device.uio_name(), "name")


@suite.test("the mailbox shows version, capabilities, ring and an empty state")
def mailbox(context: Context) -> None:
    device = small(context)
    device.enable()
    ring = Ring(context, device)
    equal(ring.version, 2, "version")
    equal(ring.flags, FLAG_OOOC | FLAG_READ_LEN | FLAG_TMR | FLAG_KEEP_BUF, "flags")
    equal(ring.cmdr_off, 128, "cmdr_off")
    equal(ring.cmdr_size, (1 << 20) - 128, "cmdr_size")
    equal((ring.head, ring.tail), (0, 0), "head and tail")


@suite.test("enabling sets the limits that nobody set")
def limits(context: Context) -> None:
    device = small(context)
    device.enable()
    equal(device.attrib("hw_block_size"), "512", "hw_block_size")
    equal(device.attrib("hw_max_sectors"), "128", "hw_max_sectors")
    equal(device.attrib("hw_queue_depth"), "128", "hw_queue_depth")


@suite.test("enabling keeps the limits that were set")
def limits_kept(context: Context) -> None:
    device = small(context)
    device.control("hw_block_size=4096,hw_max_sectors=2048")
    device.enable()
    equal(device.attrib("hw_block_size"), "4096", "hw_block_size")
    equal(device.attrib("hw_max_sectors"), "2048", "hw_max_sectors")


@suite.test("a device cannot be enabled twice")
def enable_twice(context: Context) -> None:
    device = small(context)
    device.enable()
    first = device.uio()
    raises_errno(errno.EEXIST, device.enable, "enabling again")
    equal(device.uio(), first, "UIO device")


@suite.test("a device that has no size can be enabled")
def no_size(context: Context) -> None:
    # The size may come later, from the daemon through dev_size.
    device = Device(context)
    device.control("max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    device.node()


@suite.test("removing an enabled device takes its UIO device away")
def remove(context: Context) -> None:
    device = small(context)
    device.enable()
    node = device.node()
    device.remove()
    equal(device.uio(), None, "UIO device")
    assert not node.exists(), f"{node} is still there"


@suite.test("a device can be made again under the name of one removed")
def again(context: Context) -> None:
    hba = Hba(context)
    for round_number in range(5):
        device = small(context, "same", hba)
        equal(device.attrib("cmd_time_out"), "30", f"cmd_time_out in round {round_number}")
        device.set_attrib("cmd_time_out", 7)
        device.enable()
        device.remove()


@suite.test("two devices of one HBA have UIO devices of their own")
def two_devices(context: Context) -> None:
    hba = Hba(context)
    devices = [small(context, name, hba) for name in ("one", "two")]
    for device in devices:
        device.enable()
    first, second = (Ring(context, device) for device in devices)
    assert first.node != second.node, first.node
    devices[0].set_attrib("tmr_notification", 1)
    equal(devices[1].attrib("tmr_notification"), "0", "tmr_notification of the other")


@suite.test("an HBA with a device stays")
def hba_busy(context: Context) -> None:
    device = small(context)
    raises_errno(errno.ENOTEMPTY, device.hba.path.rmdir, "removing the HBA")
    equal(device.attrib("cmd_time_out"), "30", "cmd_time_out")


@suite.test("a device can go while its UIO node is open and mapped")
def remove_open(context: Context) -> None:
    device = small(context)
    device.enable()
    ring = Ring(context, device)
    device.remove()
    # The memory outlives the device as long as somebody maps it.
    equal(ring.version, 2, "version after the removal")
    equal(ring.map[ring.cmdr_off], 0, "first byte of the ring")
    ring.close()


@suite.test("an HBA of an unknown type is refused")
def unknown_type(context: Context) -> None:
    raises_errno(errno.EINVAL, (CORE / "nosuchtype_1").mkdir, "making it")


@suite.test("enable takes nothing but 1")
def enable_value(context: Context) -> None:
    device = small(context)
    for value in ("0", "x", "2"):
        raises_errno(errno.EINVAL, lambda: write(device.path / "enable", value), f"'{value}'")
    equal(read(device.path / "enable"), "0", "enable")


@suite.test("nothing is left behind")
def leftovers(context: Context) -> None:
    remove_leftovers()
    names = [read(path / "name") for path in Path("/sys/class/uio").glob("uio*")]
    equal([name for name in names if name.startswith("tcm-user/41")], [], "UIO devices")


if __name__ == "__main__":
    suite.run()

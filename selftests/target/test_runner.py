#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""tcmu-runner, set up by targetcli, both as distributions ship them."""

import errno
from pathlib import Path

from ksftlib.files import read
from ksftlib.image import contents, holds, qemu_img
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, Skip, equal, raises_errno
from tcmulib.configfs import CORE, Device
from tcmulib.image import PATIENT, SIZE, SMALL, WWN, Served
from tcmulib.load import Load
from tcmulib.rig import pattern
from tcmulib.runner import Existing, clients
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, Disk, Unit, read10, write10
from tcmulib.suite import Suite

suite = Suite()


def attributes(device: Device) -> dict[str, str]:
    """All attributes of the device."""
    return {path.name: read(path) for path in (device.path / "attrib").iterdir()}


@suite.test("an image with a backing file keeps what the disk is given", limit=80)
def backing(context: Context) -> None:
    ours = clients(suite, context)
    base, image = ours.image("base.raw"), ours.image("top.qcow")
    base.write_bytes(pattern(1, SIZE))
    # The first format: the handler lets the file grow without FALLOC_FL_ZERO_RANGE.
    qemu_img("create", "-f", "qcow", "-b", base, "-F", "raw", image, str(SIZE))
    context.defer(base.unlink)
    context.defer(image.unlink)
    ours.create("qcow", "top", SIZE, str(image), SMALL, "hw_max_sectors=256")
    log = KernelLog(context)
    disk = Disk(context, ours.export(ours.target(WWN + "0"), "qcow", "top"), log)
    equal(read(Path("/sys/block") / disk.block.name / "size"), str(SIZE // BLOCK), "disk's size")
    equal(read(disk.sysfs / "vendor").strip(), "LIO-ORG", "vendor")
    expected = bytearray(base.read_bytes())
    assert disk.read(4096, 512) == expected[4096 * BLOCK : 4608 * BLOCK], "the backing file's data"
    for seed, (lba, blocks) in enumerate([(0, 300), (3, 2), (1000, 700), (SIZE // BLOCK - 1, 1)]):
        data = pattern(seed + 2, blocks * BLOCK)
        disk.write(lba, data)
        assert disk.read(lba, blocks) == data, f"{blocks} blocks at {lba}"
        expected[lba * BLOCK : (lba + blocks) * BLOCK] = data
    ours.clear()
    assert contents(image, "qcow") == bytes(expected), "contents of the image afterwards"
    assert base.read_bytes() == pattern(1, SIZE), "the backing file was written to"


@suite.test("devices of several handlers work side by side", limit=80)
def several(context: Context) -> None:
    ours = clients(suite, context)
    missing = {"qcow", "zbc", "fbo"} - set(ours.handlers())
    if missing:
        raise Skip(f"tcmu-runner has no handler {', '.join(sorted(missing))}")
    log = KernelLog(context)
    images = {name: ours.image(name) for name in ("plain", "zoned", "optical")}
    for image in images.values():
        context.defer(lambda image=image: image.unlink(missing_ok=True))  # type: ignore[misc]
    # The qcow handler serves an image that is none as it is, if the size is right.
    with images["plain"].open("wb") as file:
        file.truncate(SIZE)
    ours.create("qcow", "plain", SIZE, str(images["plain"]), SMALL)
    ours.create("zbc", "zoned", SIZE, f"model-HA/zsize-1/conv-2@{images['zoned']}", SMALL)
    ours.create("fbo", "optical", SIZE, str(images["optical"]), SMALL)
    # Whose image the handler cannot open is refused, and leaves nothing behind.
    absent = f"size={SIZE} cfgstring={ours.image('absent')} {SMALL}"
    ours.cli.run(f"/backstores/user:qcow create name=absent {absent}", "creation failed")
    names = sorted(path.name for path in CORE.glob("user_*/*") if path.is_dir())
    equal(names, ["optical", "plain", "zoned"], "devices")
    target = ours.target(WWN + "2")
    plain = Disk(context, ours.export(target, "qcow", "plain"), log)
    zoned = Disk(context, ours.export(target, "zbc", "zoned"), log)
    optical = Unit(context, ours.export(target, "fbo", "optical"))
    # In its zones of the conventional kind, which take writes in any order.
    loads = [Load(context, disk, processes=2) for disk in (plain, zoned)]
    # No disk driver for this one: its blocks have 2048 bytes, and its type is 5.
    inquiry = optical.sg_io(bytes([0x12, 0, 0, 0, 36, 0]), data_in=36)
    equal((inquiry.status, inquiry.data[0]), (GOOD, 5), "status and type of the optical unit")
    data = pattern(20, 16 * 2048)
    equal(optical.sg_io(write10(64, 16), data_out=data).status, GOOD, "status of the WRITE")
    assert optical.sg_io(read10(64, 16), data_in=len(data)).data == data, "optical unit's data"
    refused = optical.sg_io(read10(SIZE // 2048, 1), data_in=2048)
    equal((refused.status, refused.sense_triple), (CHECK_CONDITION, (5, 0x21, 0)), "past the end")
    for load in loads:
        load.goes_on()
    written = [load.stop() for load in loads]
    ours.clear()
    holds(images["plain"].read_bytes(), written[0])
    holds(images["optical"].read_bytes(), {64 * 2048: data})


@suite.test("targetcli saves and restores a device, and tcmu-runner refuses changes", limit=80)
def configuration(context: Context) -> None:
    served = Served(context, clients(suite, context), "saved", "hw_max_sectors=256")
    ours, device = served.clients, served.device
    data = pattern(30, 64 * BLOCK)
    served.disk.write(64, data)
    path = "/backstores/user:qcow/saved"
    ours.cli.run(f"{path} set attribute qfull_time_out=7", "is now '7'")
    # Not while it is exported.
    refused = "Cannot set attribute cmd_time_out: [Errno 22]"
    ours.cli.run(f"{path} set attribute cmd_time_out=5", refused)
    before = attributes(device)
    names = ("hw_max_sectors", "cmd_time_out", "qfull_time_out", "cmd_ring_size_mb")
    equal([before[name] for name in names], ["256", str(PATIENT), "7", "1"], f"values of {names}")
    # No handler of Debian's tcmu-runner takes new settings while it runs, and it says so.
    changes = {"dev_size": 2 * SIZE, "dev_config": before["dev_config"] + "2",
               "emulate_write_cache": 1}  # fmt: skip
    for name, value in changes.items():
        raises_errno(
            errno.EOPNOTSUPP,
            lambda name=name, value=value: device.set_attrib(name, value),  # type: ignore[misc]
            f"setting {name}",
        )
    equal(attributes(device), before, "attributes")
    # Told not to wait for its answers, the kernel goes ahead.
    device.set_attrib("nl_reply_supported", -1)
    device.set_attrib("dev_size", 2 * SIZE)
    assert f"Size: {2 * SIZE} " in device.info(), device.info()
    device.set_attrib("dev_size", SIZE)
    device.set_attrib("nl_reply_supported", 1)
    assert served.disk.read(64, 64) == data, "data"
    serial = read(device.path / "wwn" / "vpd_unit_serial")
    file = ours.folder / "saved.json"
    ours.cli.run(f"saveconfig {file}", f"Configuration saved to {file}")
    ours.clear()
    log = KernelLog(context)
    # It writes all attributes, also the three that tcmu-runner refuses.
    ours.cli.run(
        f"restoreconfig {file}",
        *(f"Cannot set attribute {name}: [Errno 95]" for name in changes),
        "Configuration restored, 3 recoverable errors",
    )
    restored = Existing(device.path)
    # rtslib does not save the size of the ring.
    equal(attributes(restored), {**before, "cmd_ring_size_mb": "8"}, "attributes afterwards")
    equal(read(device.path / "wwn" / "vpd_unit_serial"), serial, "serial number")
    disk = Disk(context, read(served.target / "address") + ":0", log)
    assert disk.read(64, 64) == data, "data after the restoration"


if __name__ == "__main__":
    suite.run()

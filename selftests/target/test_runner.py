#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The clients that exist: tcmu-runner, set up by targetcli, both as distributions ship them."""

import errno
import json
import subprocess
from pathlib import Path

from tcmulib.configfs import Device, read
from tcmulib.ktap import PACE, PATIENCE, Context, Skip, Suite, equal, raises_errno
from tcmulib.load import Load
from tcmulib.rig import pattern
from tcmulib.ring import OP_TMR, UFLAG_UNKNOWN_OP, Entry
from tcmulib.runner import Clients, Existing, Snapshot
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, Disk, EhLog, KernelLog, Unit, read10, write10
from tcmulib.wait import Task, until

suite = Suite()

#: Bytes of an image.
SIZE = 4 << 20

#: Loopback targets; targetcli wants NAA identifiers with the authority that LIO uses.
WWN = "naa.500140517e50000"

#: Small rings and data areas; the defaults are made for large machines.
SMALL = "control=max_data_area_mb=8,cmd_ring_size_mb=1"

#: tcmu's own limit of time must not end the commands that a daemon leaves behind.
PATIENT = 300

_clients: "Clients | None" = None


def clients(context: Context) -> Clients:
    """tcmu-runner and targetcli, started by the first test."""
    global _clients
    if _clients is None:
        _clients = Clients(suite.shared)
    _clients.attend(context)
    return _clients


def qemu_img(*arguments: "str | Path") -> str:
    """Output of qemu-img, which must succeed."""
    done = subprocess.run(
        ["qemu-img", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
    )
    equal(done.returncode, 0, f"status of qemu-img {arguments[0]} ({done.stderr.strip()})")
    return done.stdout


def contents(image: Path, form: str = "qcow2") -> bytes:
    """What a guest would see in an image."""
    raw = image.with_suffix(".converted")
    qemu_img("convert", "-f", form, "-O", "raw", image, raw)
    data = raw.read_bytes()
    raw.unlink()
    return data


def check(image: Path) -> None:
    """Fails the test if the qcow2 image is inconsistent."""
    found = json.loads(qemu_img("check", "--output=json", image))
    equal((found["check-errors"], found.get("corruptions", 0)), (0, 0), "errors, corruptions")


def holds(found: bytes, written: dict[int, bytes]) -> None:
    """Fails the test unless `found` has these bytes at these offsets."""
    assert written, "nothing was written"
    for offset, data in written.items():
        assert found[offset : offset + len(data)] == data, f"other data at {offset}"


def attributes(device: Device) -> dict[str, str]:
    """All attributes of the device."""
    return {path.name: read(path) for path in (device.path / "attrib").iterdir()}


class Served:
    """A qcow2 image, served by tcmu-runner, as a disk.

    Its clusters are allocated beforehand: the handler would have the file system fill
    new ones with zeros (FALLOC_FL_ZERO_RANGE), which tmpfs cannot do.
    """

    def __init__(self, context: Context, name: str, *options: str) -> None:
        self.clients = clients(context)
        self.image = self.clients.image(f"{name}.qcow2")
        context.defer(lambda: self.image.unlink(missing_ok=True))
        qemu_img("create", "-f", "qcow2", "-o", "preallocation=metadata", self.image, str(SIZE))
        self.device = self.clients.create("qcow", name, SIZE, str(self.image), SMALL, *options)
        self.device.set_attrib("cmd_time_out", PATIENT)
        log = KernelLog(context)
        self.target = self.clients.target(WWN + "1")
        self.disk = Disk(context, self.clients.export(self.target, "qcow", name), log)
        self.disk.set_timeout(120)

    def remove(self) -> bytes:
        """Removes it by targetcli, checks what is left, and returns the image's contents."""
        self.clients.clear()
        assert not self.disk.sysfs.exists(), "the SCSI device is left"
        check(self.image)
        return contents(self.image)


@suite.test("an image with a backing file keeps what the disk is given", limit=80)
def backing(context: Context) -> None:
    ours = clients(context)
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
    ours = clients(context)
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
    served = Served(context, "saved", "hw_max_sectors=256")
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


@suite.test("nothing is lost when tcmu-runner is killed, or ended, under load", limit=100)
def restarted(context: Context) -> None:
    served = Served(context, "restarted")
    runner = served.clients.runner
    orphan = Device(context, "orphan")
    orphan.control(f"dev_size={SIZE},dev_config=qcow/{served.image}")
    load = Load(context, served.disk)
    load.goes_on()
    runner.kill()
    # Nobody answers to this. The next start resets the netlink protocol, which ends it.
    work = Task(context, orphan.enable, "enabling a device without tcmu-runner")
    work.still_blocked(0.5)
    runner.start()
    raises_errno(errno.EINTR, work.wait, "enabling a device without tcmu-runner")
    load.goes_on()
    # SIGTERM: it blocks the device, and answers what it has before it leaves.
    equal(runner.terminate(), 0, "exit status of tcmu-runner")
    check(served.image)
    runner.start()
    load.goes_on()
    written = load.stop()
    orphan.remove()
    orphan.hba.remove()
    holds(served.remove(), written)


@suite.test("tmr_notification does no harm to tcmu-runner, which does not know it", limit=80)
def notified(context: Context) -> None:
    served = Served(context, "notified")
    device, disk, runner = served.device, served.disk, served.clients.runner
    path = "/backstores/user:qcow/notified"
    served.clients.cli.run(f"{path} set attribute tmr_notification=1", "is now '1'")
    data = pattern(70, 8 * BLOCK)
    disk.write(128, data)
    eh = EhLog(context)
    disk.set_timeout(int(2 * PACE))
    runner.pause()
    context.defer(runner.resume)
    reading = disk.task_read(128, 8)
    eh.wait(disk.address, "aborting command")
    told = until(lambda: notification(Snapshot(runner, device)), "a notification in the ring")
    assert told is not None
    equal((told.tmr_type, len(told.ids)), (1, 1), "type, and number of ids")
    runner.resume()
    # The aborted command is sent again.
    assert reading.wait(40) == data, "data after the abort"
    equal(Snapshot(runner, device).uflags(told), UFLAG_UNKNOWN_OP, "tcmu-runner's answer")
    disk.set_timeout(120)
    load = Load(context, disk)
    load.goes_on()
    written = load.stop()
    holds(served.remove(), written)


def notification(ring: Snapshot) -> "Entry | None":
    """The first task management entry that the daemon has not taken yet."""
    while entry := ring.poll():
        if entry.op == OP_TMR:
            return entry
    return None


if __name__ == "__main__":
    suite.run()

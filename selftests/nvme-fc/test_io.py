#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Verified I/O over fcloop, and hosts and targets that come and go."""

from pathlib import Path

from ksftlib.fio import Fio, wait_all
from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import until
from nvmelib.bounce import TARGET_PORT, Callbacks
from nvmelib.cli import nvme, nvme_json, ports
from nvmelib.fcloop import Fcloop
from nvmelib.host import Controller, Options, controllers
from nvmelib.load import Load, check, fill
from nvmelib.module import FCLOOP, HOST, TARGET, need_modules, reload_transports
from nvmelib.rig import Rig
from nvmelib.suite import Suite
from nvmelib.target import NullBlk, Target

suite = Suite()


def _verify(context: Context, disk: Path, name: str, *arguments: str) -> None:
    """Four threads of fio, each on a part of the disk of its own."""
    running = Fio(
        context, name, f"--filename={disk}", "--direct=1", "--size=512k", "--numjobs=4",
        "--offset_increment=2M", *arguments,
    )  # fmt: skip
    wait_all([running], 120)


@suite.test("nvme-cli connects, lists and disconnects", limit=90)
def with_cli(context: Context) -> None:
    disk = NullBlk(context)
    fabric = Fcloop(context)
    target = Target(context, fabric.target.address, disk.path)
    where = ports(fabric.target.address, fabric.local.address)
    found = nvme_json("discover", *where)["records"]
    equal([record["subnqn"] for record in found if target.nqn in record["subnqn"]], [target.nqn],
          "what the discovery lists")  # fmt: skip
    before = controllers()
    nvme("connect", *where, f"--nqn={target.nqn}")
    new = [name for name in controllers() if name not in before]
    equal(len(new), 1, f"controllers that are new ({new})")
    controller = Controller(new[0])
    context.defer(controller.disconnect)
    controller.wait_live()
    node = controller.disk()
    listed = [device["DevicePath"] for device in nvme_json("list")["Devices"]]
    assert str(node) in listed, f"nvme list has no {node}: {listed}"
    fill(node, 16)
    check(node, 16)
    nvme("disconnect", f"--nqn={target.nqn}")
    controller.wait_gone()


def _queues(count: int) -> None:
    @suite.test(f"verified I/O over {count} I/O queues", limit=150)
    def io(context: Context) -> None:
        rig = Rig(context, Options(nr_io_queues=count))
        equal(rig.controller.number("queue_count"), 1 + count, "queues, with the one for commands")
        _verify(context, rig.disk(), f"queues-{count}", "--bs=4k")


for _count in (1, 2):
    _queues(_count)


@suite.test("verified I/O of all lengths", limit=150)
def lengths(context: Context) -> None:
    rig = Rig(context)
    _verify(context, rig.disk(), "lengths", "--bsrange=512-128k", "--blockalign=512")


@suite.test("more threads than a queue has entries", limit=120)
def narrow(context: Context) -> None:
    rig = Rig(context, Options(nr_io_queues=1, queue_size=16))
    equal(rig.controller.number("sqsize"), 15, "entries of the queue")
    load = Load(context, rig.disk(), 32, writes=5)
    load.progress(5)
    equal((load.stop().errors, rig.controller.resets()), (0, 0), "errors, resets")


@suite.test("data stays when the host disconnects and connects again", limit=90)
def reconnect(context: Context) -> None:
    rig = Rig(context)
    fill(rig.disk(), 256)
    rig.controller.disconnect()
    equal(controllers(), [], "controllers that are left")
    rig.controller = rig.connect()
    check(rig.disk(), 256)


@suite.test("controllers that are reset under I/O", limit=120)
def reset(context: Context) -> None:
    rig = Rig(context)
    load = Load(context, rig.disk(), 8, writes=5)
    load.progress()
    for number in range(1, 4):
        rig.controller.reset()
        rig.controller.wait_resets(number)
        rig.controller.wait_live()
        load.progress()
    totals = load.stop()
    diag(str(totals))
    equal(totals.errors, 0, "errors")


@suite.test("disconnecting under I/O ends it with errors, and the host connects again", limit=120)
def disconnect(context: Context) -> None:
    rig = Rig(context)
    load = Load(context, rig.disk(), 8, writes=5)
    load.progress()
    rig.controller.disconnect()
    totals = load.stop()
    diag(str(totals))
    assert totals.errors > 0, "reads of a disk that is gone succeed"
    rig.controller = rig.connect()
    fill(rig.disk(), 64)
    check(rig.disk(), 64)


@suite.test("a target port that is deleted and comes back under I/O", limit=150)
def target_port(context: Context) -> None:
    rig = Rig(context)
    load = Load(context, rig.disk(), 8, writes=5)
    callbacks = Callbacks(context, rig.fabric, TARGET_PORT)
    for times in (1, 2):
        load.progress()
        rig.fabric.target.delete()
        rig.controller.wait_state("resetting", "connecting", seconds=60)
        callbacks.wait(times)
        rig.fabric.target.add()
        rig.controller.wait_live()
    load.progress()
    # fcloop refuses what is sent to a port that is gone, and the host reports an error.
    diag(str(load.stop()))
    again = Load(context, rig.disk(), 8, writes=5)
    again.progress()
    equal(again.stop().errors, 0, "errors after it")


@suite.test("a subsystem that is withdrawn while it is used", limit=150)
def withdrawn(context: Context) -> None:
    rig = Rig(context)
    load = Load(context, rig.disk(), 8, writes=5)
    load.progress()
    rig.target.withdraw()
    rig.controller.wait_state("", "connecting", seconds=60)
    # The target says that there is no such subsystem: the host may give it up.
    rig.controller.disconnect()
    diag(str(load.stop()))
    rig.target.offer()
    rig.controller = rig.connect()
    fill(rig.disk(), 64)
    check(rig.disk(), 64)


@suite.test("a disk that is a file, and two namespaces", limit=120)
def namespaces(context: Context) -> None:
    file = Path("/run/ksft-nvme-fc-disk")
    file.write_bytes(bytes(4 << 20))
    context.defer(file.unlink)
    disk = NullBlk(context)
    fabric = Fcloop(context)
    target = Target(context, fabric.target.address, disk.path, file)
    controller = Rig.connected(context, fabric, target)
    until(lambda: len(controller.disks()) == 2, "two disks")
    for node in controller.disks():
        fill(node, 128)
    for node in controller.disks():
        check(node, 128)


@suite.test("host and target can be unloaded and loaded anew", limit=150)
def reload(_context: Context) -> None:
    need_modules(FCLOOP, HOST, TARGET)
    for _ in range(2):
        own = Context()
        rig = Rig(own)
        fill(rig.disk(), 16)
        check(rig.disk(), 16)
        errors = own.clean_up()
        assert not errors, "\n".join(errors)
        users = [module.references() for module in (HOST, TARGET)]
        equal((FCLOOP.loaded(), users), (False, [0, 0]), "fcloop, users of host and target")
        reload_transports()


if __name__ == "__main__":
    suite.run()

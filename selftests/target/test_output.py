#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What configfs, sysfs and netlink show, byte for byte as the C module shows it.

``output.golden`` is a recording of the C module. On a machine with that module
``test_output.py --record`` prints a new one. What differs between runs of one
module (addresses, device numbers, the test's own number of the adapter, counters)
is not recorded; neither is what the Rust module means to do differently, see
``Documentation/target/tcmu-rust.rst``: test_params.py has that.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.golden import Recording, record
from ksftlib.ktap import PATIENCE, Context, Skip
from tcmulib.configfs import Device
from tcmulib.genl import Family
from tcmulib.golden import LOOK, attempts
from tcmulib.impl import implementation
from tcmulib.module import TCMU
from tcmulib.suite import Suite

suite = Suite()

GOLDEN = Recording(Path(__file__).with_name("output.golden"))

HEADING = """\
# SPDX-License-Identifier: GPL-2.0
# What the stock C modules of kernel 7.3 show; made by: test_output.py --record"""

SMALL = "dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1"

#: Numbers in all the ways in which they are written, and what is none.
NUMBERS = (
    "0", "1", "2", "3", "255", "256", "-1", "-2", "-128", "-129", "1\n", "1\n\n", "", "\n", " 1",
    "+1", "+-1", "-0", "010", "08", "0x", "0X1f", "1.0", "x", "99999999999999999999x",
    "-99999999999999999999",
)  # fmt: skip

#: Larger ones, for attributes that take them.
LARGE = {
    "cmd_time_out": ("4294967",),
    "qfull_time_out": ("2147483",),
    "dev_size": ("0x7fffffffffffffff", "18446744073709551615"),
}

#: For the attributes that LIO itself has; what it makes of numbers is not our concern.
FEW = ("0", "1", "2", "x")

_sections: list[tuple[str, Callable[[Context], list[str]]]] = []


def section(name: str) -> Callable[[Callable[[Context], list[str]]], None]:
    """Registers what is looked at as a test and as a section of the recording."""

    def register(look: Callable[[Context], list[str]]) -> None:
        _sections.append((name, look))
        suite.test(name)(lambda context: GOLDEN.compare(name, look(context)))

    return register


def enabled(context: Context, options: str = SMALL) -> Device:
    """A device, enabled; nobody serves it."""
    device = Device(context)
    device.control(options)
    device.enable()
    device.node()
    return device


def uio(device: Device) -> list[str]:
    """The UIO device in sysfs."""
    return LOOK.tree(Path("/sys/class/uio") / str(device.uio()), "uio")


def settings(device: Device) -> list[str]:
    """The files with what is ours; everything is in the first sections."""
    return [
        *LOOK.tree(device.path / "attrib", "attrib"),
        *(f"{file} {LOOK.content(device.path / file)}" for file in ("info", "enable", "alua_lu_gp")),
    ]


@section("a new adapter and a new device")
def new(context: Context) -> list[str]:
    device = Device(context)
    return LOOK.tree(device.hba.path, "hba")


@section("a device that is set up")
def set_up(context: Context) -> list[str]:
    device = Device(context)
    device.control(
        "dev_config=ram/a b,dev_size=16777216,hw_block_size=4096,hw_max_sectors=2048,"
        "nl_reply_supported=-1,data_pages_per_blk=2,max_data_area_mb=4,cmd_ring_size_mb=2"
    )
    return settings(device)


@section("an enabled device")
def up(context: Context) -> list[str]:
    device = enabled(context)
    return [*LOOK.tree(device.path, "device"), *uio(device)]


@section("an enabled device with all options")
def up_with_options(context: Context) -> list[str]:
    device = enabled(
        context,
        "dev_config=some/thing = else,hw_block_size=4096,hw_max_sectors=2048,"
        "nl_reply_supported=-1,data_pages_per_blk=2,max_data_area_mb=4,cmd_ring_size_mb=2",
    )
    return [*settings(device), *uio(device)]


@section("an enabled device with default sizes")
def up_with_defaults(context: Context) -> list[str]:
    device = enabled(context, "dev_config=x")
    return [LOOK.quoted(device.info()), *uio(device)]


@section("long names")
def long_names(context: Context) -> list[str]:
    lines = []
    for name, config in (("n" * 200, "c" * 255), ("d", "/" * 255), ("with.dot-and_", "\t~;[]%s%n")):
        device = Device(context, name)
        device.set_attrib("dev_config", config)
        device.control(SMALL)
        device.enable()
        device.node()
        files = ("info", "attrib/dev_config", "udev_path", "alias")
        lines += [f"{file} {LOOK.content(device.path / file)}" for file in files]
        lines += uio(device)
    return lines


@section("files that user space may set to any text")
def texts(context: Context) -> list[str]:
    device = Device(context)
    lines = attempts(device, "alias", ("a", "an alias\n", "x" * 512))
    lines += attempts(device, "udev_path", ("/dev/x", "/dev/y\n", "z" * 512))
    lines += attempts(device, "attrib/dev_config", ("a", "a/b c\n", "\n", "x,y=z", "a" * 256))
    lines.append(f"info {LOOK.content(device.path / 'info')}")
    device.control(SMALL)
    device.enable()
    device.node()
    lines += uio(device)
    lines += attempts(device, "alias", ("late", "late\n"))
    lines += attempts(device, "udev_path", ("/dev/late\n",))
    return lines


#: Attributes that take numbers, our own and LIO's, and those that are only shown.
ATTRIBUTES = (
    "cmd_time_out", "qfull_time_out", "dev_size", "emulate_write_cache", "tmr_notification",
    "nl_reply_supported",
)  # fmt: skip
CORE = ("pgr_support", "alua_support", "emulate_pr", "submit_type", "complete_type")
FIXED = (
    "max_data_area_mb", "data_pages_per_blk", "cmd_ring_size_mb", "hw_block_size",
    "hw_max_sectors", "hw_queue_depth", "hw_pi_prot_type",
)  # fmt: skip


def all_attempts(device: Device) -> list[str]:
    """Every number for every attribute and action."""
    lines = []
    for name in ATTRIBUTES:
        lines += attempts(device, f"attrib/{name}", (*NUMBERS, *LARGE.get(name, ())))
    for name in CORE:
        lines += attempts(device, f"attrib/{name}", FEW)
    for name in FIXED:
        lines += attempts(device, f"attrib/{name}", ("1",))
    for name in ("block_dev", "reset_ring", "free_kept_buf"):
        lines += attempts(device, f"action/{name}", (*NUMBERS, "65535", "65536"))
    lines += attempts(device, "enable", ("", "0", "2", "x", "on"))
    lines.append(f"info {LOOK.content(device.path / 'info')}")
    return lines


@section("writes to the files of a new device")
def writes_new(context: Context) -> list[str]:
    return all_attempts(Device(context))


@section("writes to the files of an enabled device that no daemon listens for")
def writes_enabled(context: Context) -> list[str]:
    device = enabled(context)
    lines = all_attempts(device)
    lines += attempts(device, "attrib/dev_config", ("a", "b" * 256, "\n"))
    lines += attempts(device, "enable", ("1", "1\n"))
    return lines + uio(device)


@section("lines for the control file")
def control(context: Context) -> list[str]:
    device = Device(context)
    lines = []
    for text in (
        "", "\n", ",", ",,\n,", "dev_size=1", "dev_size=0x1000", "dev_size=010", "dev_size=+7",
        "dev_size=18446744073709551615", "dev_size=18446744073709551616", "dev_size=-1",
        "dev_size=1,dev_size=2\n", " dev_size=3", "dev_size =3", "DEV_SIZE=3", "dev_size",
        "dev_config=a", "dev_config=a=b c/d", "dev_config=a,b", "dev_config=a\ndev_size=5",
        "dev_config=" + "x" * 255, "hw_block_size=0x200", "hw_block_size=010",
        "hw_block_size=2147483647", "hw_block_size=2147483648", "hw_block_size=0",
        "hw_max_sectors=-1", "nl_reply_supported=-5",
        "nl_reply_supported=2147483647", "nl_reply_supported=-2147483648",
        "max_data_area_mb=2048", "max_data_area_mb=2049", "max_data_area_mb=0",
        "max_data_area_mb=-1", "max_data_area_mb=0x10", "data_pages_per_blk=4096",
        "data_pages_per_blk=4097", "data_pages_per_blk=-1", "data_pages_per_blk=1",
        "cmd_ring_size_mb=0", "cmd_ring_size_mb=-1", "cmd_ring_size_mb=9", "cmd_ring_size_mb=4095",
        "cmd_ring_size_mb=1", "max_data_area_mb=1,data_pages_per_blk=257",
        "max_data_area_mb=1,data_pages_per_blk=256,cmd_ring_size_mb=2", "unknown=1,dev_size=9",
        "unknown", "=", "dev_size=8,hw_max_sectors=0,dev_size=9",
    ):  # fmt: skip
        lines.append(LOOK.written(device.path / "control", text, "control"))
        names = ("hw_block_size", "hw_max_sectors", "nl_reply_supported", "dev_config")
        values = " ".join(LOOK.quoted(device.attrib(name)) for name in names)
        lines.append(f"{LOOK.quoted(device.info())} {values}")
    return lines


@section("the control file of an enabled device")
def control_enabled(context: Context) -> list[str]:
    device = enabled(context)
    lines = []
    for text in (
        "dev_config=late", "dev_size=4096", "hw_block_size=4096", "hw_max_sectors=64",
        "nl_reply_supported=-1", "max_data_area_mb=1", "data_pages_per_blk=1",
        "cmd_ring_size_mb=1", "dev_size=1,max_data_area_mb=2,dev_size=2",
    ):  # fmt: skip
        lines.append(LOOK.written(device.path / "control", text, "control"))
    return [*lines, *LOOK.tree(device.path / "attrib", "attrib"), LOOK.quoted(device.info()), *uio(device)]


@section("module parameters")
def parameters(context: Context) -> list[str]:
    lines = LOOK.tree(TCMU.parameters, "parameters")
    for name in ("block_netlink", "global_max_data_area_mb", "reset_netlink"):
        path = TCMU.parameters / name
        readable = name != "reset_netlink"
        before = read(path) if readable else ""
        if readable:
            context.defer(lambda: write(path, {"unblocked": "0"}.get(before, before)))
        for text in (*NUMBERS, "2048\n"):
            # Writing less than is used now starts the reclaim; here nothing is used.
            lines.append(LOOK.written(path, text, name) + (f" {LOOK.content(path)}" if readable else ""))
        if readable:
            write(path, {"unblocked": "0"}.get(before, before))
    return lines


@section("the module")
def module(_context: Context) -> list[str]:
    if not shutil.which("modinfo"):
        raise Skip("no modinfo")
    lines = []
    for field in ("description", "license", "parm", "name"):
        done = subprocess.run(
            ["modinfo", "--field", field, "target_core_user"],
            capture_output=True, text=True, timeout=60 * PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Skip("modinfo does not find the module")
        # Of the parameters only the names: their descriptions are everybody's own.
        names = (line.split(":")[0] if field == "parm" else line for line in done.stdout.splitlines())
        lines += [f"{field}: {name}" for name in sorted(names)]
    return lines


@section("messages to daemons")
def messages(context: Context) -> list[str]:
    family = Family(context)
    device = enabled(context)
    for name, value in (("dev_size", 2 << 20), ("dev_config", "a b\n"), ("emulate_write_cache", 1)):
        device.set_attrib(name, value)
    device.remove()
    lines = []
    for _ in range(5):
        event = family.event()
        lines.append(f"command {event.command}")
        for kind, payload in event.attributes.items():
            # Minor and index are the run's own.
            shown = "NUMBER" if kind in (2, 8) else LOOK.quoted(payload.decode("latin-1"))
            lines.append(f"  attribute {kind}, {len(payload)} bytes: {shown}")
    return lines


def record_all() -> None:
    """Prints a recording."""
    if implementation() != "c":
        sys.exit("only the C module is recorded")

    def look(section: Callable[[Context], list[str]]) -> list[str]:
        context = Context()
        try:
            return section(context)
        finally:
            errors = context.clean_up()
            if errors:
                sys.exit("\n".join(errors))

    record([(name, lambda s=s: look(s)) for name, s in _sections], HEADING)


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record_all()
    else:
        suite.run()

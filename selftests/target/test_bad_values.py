#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tables of bad input, each with the errno that it must give, and that it changes nothing."""

import errno
from functools import partial
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context, diag, equal, raises_errno
from ksftlib.wait import Task
from tcmulib.configfs import Device
from tcmulib.module import TCMU
from tcmulib.suite import Suite

suite = Suite()

#: What is a number nowhere.
NO_NUMBER = (
    " ", "\n", "x", "1x", "1 ", " 1", "+", "-", "--1", "+-1", "1.5", "1e3", "0x", "0xg", "1,1",
    "true", "\u0661", "1\n1", "\x7f",
)  # fmt: skip

#: What no integer type can hold.
FAR_TOO_LARGE = ("9" * 30, "9" * 2000, "0x" + "f" * 17)

#: Attribute: numbers that are refused beside what is none, with their errno.
ATTRIBUTES = {
    "cmd_time_out": {"-1": errno.EINVAL, "4294967296": errno.ERANGE, "08": errno.EINVAL},
    "qfull_time_out": {
        "-2": errno.EINVAL, "2147483648": errno.ERANGE, "-2147483648": errno.EINVAL,
        "-2147483649": errno.ERANGE,
    },
    "tmr_notification": {"2": errno.EINVAL, "255": errno.EINVAL, "256": errno.ERANGE,
                         "-1": errno.EINVAL},
    "emulate_write_cache": {"256": errno.ERANGE, "-1": errno.EINVAL},
    "nl_reply_supported": {"128": errno.ERANGE, "-129": errno.ERANGE},
    "dev_size": {"-1": errno.EINVAL, "18446744073709551616": errno.ERANGE},
}  # fmt: skip

#: The same for the actions of an enabled device.
ACTIONS = {
    "block_dev": {"2": errno.EINVAL, "256": errno.ERANGE, "-1": errno.EINVAL},
    "reset_ring": {"0": errno.EINVAL, "3": errno.EINVAL, "256": errno.ERANGE, "-1": errno.EINVAL},
    "free_kept_buf": {"1": errno.EINVAL, "65535": errno.EINVAL, "65536": errno.ERANGE,
                      "-1": errno.EINVAL},
}  # fmt: skip

#: The same for the module's parameters.
PARAMETER_VALUES = {
    # It says EINVAL to whatever it refuses, and knows no hexadecimal numbers.
    "global_max_data_area_mb": dict.fromkeys(
        ("0", "-1", "2147483648", "0x10", *FAR_TOO_LARGE), errno.EINVAL
    ),
    "block_netlink": {"2": errno.EINVAL, "256": errno.ERANGE, "-1": errno.EINVAL},
    "reset_netlink": {"0": errno.EINVAL, "2": errno.EINVAL, "256": errno.ERANGE,
                      "-1": errno.EINVAL},
}  # fmt: skip

#: Control option: numbers that are refused, with their errno.
OPTIONS = {
    "max_data_area_mb": {"0": errno.EINVAL, "-1": errno.EINVAL, "2147483648": errno.ERANGE},
    "data_pages_per_blk": {"-1": errno.EINVAL, "262145": errno.EINVAL, "2147483648": errno.ERANGE},
    "cmd_ring_size_mb": {"0": errno.EINVAL, "-1": errno.EINVAL, "2147483648": errno.ERANGE},
    "hw_block_size": {"0": errno.EINVAL, "-1": errno.EINVAL, "2147483648": errno.ERANGE},
    "hw_max_sectors": {"0": errno.EINVAL, "-1": errno.EINVAL, "2147483648": errno.ERANGE},
    "nl_reply_supported": {"2147483648": errno.ERANGE, "-2147483649": errno.ERANGE},
    "dev_size": {"-1": errno.EINVAL, "18446744073709551616": errno.ERANGE},
}

#: What is no number even where text around it was cut off at a comma or newline.
NO_NUMBER_OPTION = tuple(text for text in NO_NUMBER if not set(text) & {",", "\n"})


class Table:
    """Tries bad values and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def file(self, path: Path, values: dict[str, int], shows: bool = True) -> None:
        """Each value gives its errno when it is written, and what the file `shows` stays."""
        before = read(path) if shows else ""
        for value, expected in values.items():
            name = f"{path.name} {value[:40]!r}"
            raises_errno(expected, partial(write, path, value), name)
            if shows:
                equal(read(path), before, f"{path.name} after {value[:40]!r}")
            self._count += 1

    def option(self, device: Device, option: str, values: dict[str, int]) -> None:
        """The same for a control option: the device's description stays."""
        before = device.info()
        for value, expected in values.items():
            name = f"{option}={value[:40]!r}"
            raises_errno(expected, partial(device.control, f"{option}={value}"), name)
            equal(device.info(), before, f"info after {name}")
            self._count += 1

    def end(self) -> None:
        """Says how many there were."""
        diag(f"{self._count} values refused")


def _numbers(special: dict[str, int]) -> dict[str, int]:
    values = dict.fromkeys(NO_NUMBER, errno.EINVAL)
    values.update(dict.fromkeys(FAR_TOO_LARGE, errno.ERANGE))
    return values | special


@suite.test("attributes")
def attributes(context: Context) -> None:
    table = Table()
    device = Device(context)
    for name, special in ATTRIBUTES.items():
        table.file(device.path / "attrib" / name, _numbers(special))
    table.end()


@suite.test("actions")
def actions(context: Context) -> None:
    table = Table()
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    for name, special in ACTIONS.items():
        table.file(device.path / "action" / name, _numbers(special), shows=name == "block_dev")
    table.end()


@suite.test("module parameters")
def parameters(_context: Context) -> None:
    table = Table()
    for name, special in PARAMETER_VALUES.items():
        table.file(TCMU.parameters / name, _numbers(special), shows=name != "reset_netlink")
    table.end()


@suite.test("control options out of range")
def options(context: Context) -> None:
    table = Table()
    device = Device(context)
    for name, values in OPTIONS.items():
        table.option(device, name, values)
    table.end()


@suite.test("control options that are no number")
def options_text(context: Context) -> None:
    table = Table()
    device = Device(context)
    for name in OPTIONS:
        table.option(device, name, dict.fromkeys(NO_NUMBER_OPTION, errno.EINVAL))
    table.end()


def _configure(path: Path, mark: str, size: int, rounds: int) -> set[str]:
    """Sets a device's configuration again and again; returns all that it read meanwhile."""
    found = set()
    for _ in range(rounds):
        write(path / "control", f"dev_config={mark},dev_size={size}")
        found.add(read(path / "attrib/dev_config"))
        write(path / "attrib/dev_size", str(size))
        write(path / "attrib/dev_config", mark)
        found.add(read(path / "attrib/dev_config"))
        write(path / "control", "max_data_area_mb=1,cmd_ring_size_mb=1")
    return found


@suite.test("two processes configure a device at once, and it has one of both configurations")
def at_once(context: Context) -> None:
    device = Device(context)
    marks = {"a" * 200: 1 << 20, "b" * 230: 2 << 20}
    tasks = [
        Task(context, partial(_configure, device.path, mark, size, 150), f"configures {mark[0]}")
        for mark, size in marks.items()
    ]
    for task in tasks:
        torn = task.wait(60) - set(marks)
        equal(torn, set(), "configurations that nobody wrote")
    assert device.attrib("dev_config") in marks, "dev_config in the end"
    assert int(device.attrib("dev_size")) in marks.values(), "dev_size in the end"
    device.enable()
    assert device.uio(), "no UIO device"


if __name__ == "__main__":
    suite.run()

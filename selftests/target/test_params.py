#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Values that configfs and module parameters take, clamp and refuse."""

import errno

from ksftlib.files import read, write
from ksftlib.ktap import Context, equal, raises_errno
from tcmulib.configfs import Device
from tcmulib.module import TCMU
from tcmulib.suite import Suite

suite = Suite()


def enabled(context: Context) -> Device:
    """A small device, enabled; nobody serves it."""
    device = Device(context)
    device.control("dev_size=1048576,max_data_area_mb=1,cmd_ring_size_mb=1")
    device.enable()
    return device


def refused(context: Context, option: str, values: dict[str, int]) -> None:
    """Each value of a control option gives its errno and changes nothing."""
    device = Device(context)
    before = device.info()
    for value, expected in values.items():
        raises_errno(expected, lambda: device.control(f"{option}={value}"), f"{option}={value}")
        equal(device.info(), before, f"info after {option}={value}")


@suite.test("an unknown option is ignored, its neighbours are not")
def unknown_option(context: Context) -> None:
    device = Device(context)
    device.control("nosuchoption=1,dev_size=4096,another")
    equal(device.attrib("dev_size"), "4096", "dev_size")


@suite.test("options may be separated by newlines, and empty ones do no harm")
def separators(context: Context) -> None:
    device = Device(context)
    device.control("dev_size=8192\n,,max_data_area_mb=3\n\n")
    equal((device.attrib("dev_size"), device.attrib("max_data_area_mb")), ("8192", "3"), "values")


@suite.test("the first bad option stops the rest of the line")
def first_error(context: Context) -> None:
    device = Device(context)
    raises_errno(
        errno.EINVAL,
        lambda: device.control("dev_size=512,max_data_area_mb=0,cmd_ring_size_mb=2"),
        "the line",
    )
    equal(device.attrib("dev_size"), "512", "dev_size")
    equal(device.attrib("cmd_ring_size_mb"), "8", "cmd_ring_size_mb")


@suite.test("max_data_area_mb refuses zero, negative and too large numbers")
def max_data_area(context: Context) -> None:
    refused(
        context,
        "max_data_area_mb",
        {"0": errno.EINVAL, "-1": errno.EINVAL, "99999999999": errno.ERANGE},
    )


@suite.test("max_data_area_mb above the global limit is set to it")
def max_data_area_clamped(context: Context) -> None:
    device = Device(context)
    device.control("max_data_area_mb=1000000")
    equal(device.attrib("max_data_area_mb"), read(TCMU.parameters / "global_max_data_area_mb"), "value")


@suite.test("cmd_ring_size_mb refuses zero, negative and too large numbers")
def ring_size(context: Context) -> None:
    refused(
        context,
        "cmd_ring_size_mb",
        {"0": errno.EINVAL, "-8": errno.EINVAL, "4294967296": errno.ERANGE},
    )


@suite.test("cmd_ring_size_mb above 8 is set to 8")
def ring_size_clamped(context: Context) -> None:
    for value in (9, 4097):
        device = Device(context)
        device.control("cmd_ring_size_mb=2")
        device.control(f"cmd_ring_size_mb={value}")
        equal(device.attrib("cmd_ring_size_mb"), "8", f"value after {value}")


@suite.test("data_pages_per_blk refuses negative numbers and more than the data area")
def pages_per_block(context: Context) -> None:
    refused(context, "data_pages_per_blk", {"-1": errno.EINVAL, "262145": errno.EINVAL})


@suite.test("data_pages_per_blk refuses zero", c_wedges=True)
def pages_per_block_zero(context: Context) -> None:
    refused(context, "data_pages_per_blk", {"0": errno.EINVAL})


@suite.test("max_data_area_mb and data_pages_per_blk are checked against each other")
def area_and_block(context: Context) -> None:
    device = Device(context)
    device.control("max_data_area_mb=2,data_pages_per_blk=512")
    equal(device.attrib("data_pages_per_blk"), "512", "data_pages_per_blk")
    raises_errno(errno.EINVAL, lambda: device.control("max_data_area_mb=1"), "an area too small")
    raises_errno(errno.EINVAL, lambda: device.control("data_pages_per_blk=513"), "a block too big")
    # The order within one line counts.
    raises_errno(
        errno.EINVAL,
        lambda: device.control("max_data_area_mb=1,data_pages_per_blk=1"),
        "the area before the block",
    )
    device.control("data_pages_per_blk=1,max_data_area_mb=1")
    equal(device.attrib("max_data_area_mb"), "1", "max_data_area_mb")


@suite.test("hw_block_size and hw_max_sectors refuse zero and negative numbers")
def hardware_limits(context: Context) -> None:
    for option in ("hw_block_size", "hw_max_sectors"):
        refused(
            context,
            option,
            {"0": errno.EINVAL, "-512": errno.EINVAL, "99999999999": errno.ERANGE},
        )


@suite.test("dev_size refuses what is no number")
def dev_size(context: Context) -> None:
    refused(
        context,
        "dev_size",
        {"abc": errno.EINVAL, "-1": errno.EINVAL, "99999999999999999999": errno.ERANGE},
    )


@suite.test("a number option refuses text")
def text_for_number(context: Context) -> None:
    for option in ("max_data_area_mb", "cmd_ring_size_mb", "hw_block_size", "nl_reply_supported"):
        refused(context, option, {"abc": errno.EINVAL, "12abc": errno.EINVAL, "": errno.EINVAL})


@suite.test("dev_config refuses the empty string")
def dev_config(context: Context) -> None:
    refused(context, "dev_config", {"": errno.EINVAL})


@suite.test("sizes of an enabled device are fixed")
def after_enable(context: Context) -> None:
    device = enabled(context)
    before = device.info()
    for option in ("max_data_area_mb=2", "data_pages_per_blk=2", "cmd_ring_size_mb=2"):
        raises_errno(errno.EINVAL, lambda: device.control(option), option)
    equal(device.info(), before, "info")


@suite.test("the attributes for sizes are read-only")
def read_only(context: Context) -> None:
    device = Device(context)
    for name in ("max_data_area_mb", "data_pages_per_blk", "cmd_ring_size_mb"):
        raises_errno(errno.EACCES, lambda: device.set_attrib(name, 1), f"writing {name}")


def attribute(
    context: Context, name: str, good: list[str], bad: dict[str, int], shown: dict[str, str]
) -> None:
    """An attribute takes and shows `good` (`shown` where it differs) and refuses `bad`."""
    device = Device(context)
    for value in good:
        device.set_attrib(name, value)
        equal(device.attrib(name), shown.get(value, value), f"{name} after '{value}'")
    before = device.attrib(name)
    for value, expected in bad.items():
        raises_errno(expected, lambda: device.set_attrib(name, value), f"{name} '{value}'")
        equal(device.attrib(name), before, f"{name} after '{value}'")


@suite.test("cmd_time_out takes seconds")
def cmd_time_out(context: Context) -> None:
    attribute(
        context,
        "cmd_time_out",
        ["0", "1", "4294967", "0x10"],
        {"-1": errno.EINVAL, "x": errno.EINVAL, "1.5": errno.EINVAL, "4294967296": errno.ERANGE},
        {"0x10": "16"},
    )


@suite.test("cmd_time_out refuses what does not fit in milliseconds")
def cmd_time_out_overflow(context: Context) -> None:
    device = Device(context)
    for value in ("4294968", "4294967295"):
        try:
            device.set_attrib("cmd_time_out", value)
        except OSError as error:
            assert error.errno in (errno.EINVAL, errno.ERANGE), error
        else:
            raise AssertionError(f"{value} was taken and shows {device.attrib('cmd_time_out')}")
    equal(device.attrib("cmd_time_out"), "30", "cmd_time_out")


@suite.test("qfull_time_out takes seconds and -1")
def qfull_time_out(context: Context) -> None:
    attribute(
        context,
        "qfull_time_out",
        ["0", "1", "60", "-1"],
        {"-2": errno.EINVAL, "x": errno.EINVAL, "2147483648": errno.ERANGE},
        {},
    )


@suite.test("qfull_time_out refuses what does not fit in milliseconds")
def qfull_time_out_overflow(context: Context) -> None:
    device = Device(context)
    try:
        device.set_attrib("qfull_time_out", 2147484)
    except OSError as error:
        assert error.errno in (errno.EINVAL, errno.ERANGE), error
    else:
        raise AssertionError(f"it was taken and shows {device.attrib('qfull_time_out')}")


@suite.test("tmr_notification takes 0 and 1")
def tmr_notification(context: Context) -> None:
    attribute(
        context,
        "tmr_notification",
        ["1", "0"],
        {"2": errno.EINVAL, "-1": errno.EINVAL, "yes": errno.EINVAL, "256": errno.ERANGE},
        {},
    )


@suite.test("tmr_notification can change while the device is enabled")
def tmr_notification_enabled(context: Context) -> None:
    device = enabled(context)
    device.set_attrib("tmr_notification", 1)
    equal(device.attrib("tmr_notification"), "1", "tmr_notification")


@suite.test("dev_size, emulate_write_cache and nl_reply_supported check their numbers")
def other_numbers(context: Context) -> None:
    bad = {"x": errno.EINVAL}
    attribute(context, "dev_size", ["0", "1048576"], {**bad, "-1": errno.EINVAL}, {})
    attribute(context, "emulate_write_cache", ["1", "0"], {**bad, "256": errno.ERANGE}, {})
    attribute(context, "nl_reply_supported", ["1", "-1", "0"], {**bad, "128": errno.ERANGE}, {})


@suite.test("dev_config as an attribute has a largest length")
def dev_config_length(context: Context) -> None:
    device = Device(context)
    longest = "x" * 255
    device.set_attrib("dev_config", longest)
    equal(device.attrib("dev_config"), longest, "dev_config")
    raises_errno(errno.EINVAL, lambda: device.set_attrib("dev_config", "y" * 256), "256 bytes")
    equal(device.attrib("dev_config"), longest, "dev_config after 256 bytes")


@suite.test("reconfiguring a running device without a listener gives ESRCH")
def nobody_listens(context: Context) -> None:
    device = enabled(context)
    for name, value in (("dev_size", "4096"), ("dev_config", "new"), ("emulate_write_cache", "1")):
        before = device.attrib(name)
        raises_errno(errno.ESRCH, lambda: device.set_attrib(name, value), f"setting {name}")
        equal(device.attrib(name), before, name)


@suite.test("the actions refuse a device that is not enabled")
def actions_not_enabled(context: Context) -> None:
    device = Device(context)
    for name in ("block_dev", "reset_ring", "free_kept_buf"):
        raises_errno(errno.EINVAL, lambda: device.action(name, 1), f"writing {name}")


@suite.test("the actions check their numbers")
def actions_values(context: Context) -> None:
    device = enabled(context)
    for name, values in (
        ("block_dev", {"2": errno.EINVAL, "x": errno.EINVAL, "256": errno.ERANGE}),
        ("reset_ring", {"0": errno.EINVAL, "3": errno.EINVAL, "-1": errno.EINVAL}),
        # 1 is a valid id, but no command has it.
        ("free_kept_buf", {"1": errno.EINVAL, "x": errno.EINVAL, "65536": errno.ERANGE}),
    ):
        for value, expected in values.items():
            raises_errno(expected, lambda: device.action(name, value), f"{name} '{value}'")


@suite.test("block_dev shows what was written")
def block_dev(context: Context) -> None:
    device = enabled(context)
    for value, shown in (("1", "blocked"), ("1", "blocked"), ("0", "unblocked")):
        device.action("block_dev", value)
        equal(read(device.path / "action" / "block_dev"), shown, f"block_dev after {value}")


@suite.test("global_max_data_area_mb checks its number and limits devices")
def global_limit(context: Context) -> None:
    path = TCMU.parameters / "global_max_data_area_mb"
    before = read(path)
    context.defer(lambda: write(path, before))
    equal(before, "2048", "default")
    for value in ("0", "-1", "x", "99999999999"):
        raises_errno(errno.EINVAL, lambda: write(path, value), f"'{value}'")
        equal(read(path), before, f"value after '{value}'")
    write(path, "16")
    device = Device(context)
    device.control("max_data_area_mb=17")
    equal(device.attrib("max_data_area_mb"), "16", "max_data_area_mb")


@suite.test("block_netlink and reset_netlink check their numbers")
def netlink_parameters(context: Context) -> None:
    block, reset = TCMU.parameters / "block_netlink", TCMU.parameters / "reset_netlink"
    context.defer(lambda: write(block, "0"))
    equal(read(block), "unblocked", "block_netlink")
    raises_errno(errno.EINVAL, lambda: write(block, "2"), "block_netlink 2")
    raises_errno(errno.EINVAL, lambda: write(block, "x"), "block_netlink x")
    write(block, "1")
    equal(read(block), "blocked", "block_netlink after 1")
    for value in ("0", "2", "x"):
        raises_errno(errno.EINVAL, lambda: write(reset, value), f"reset_netlink {value}")
    write(reset, "1")


if __name__ == "__main__":
    suite.run()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Documentation/ABI and the page for administrators name every file of a device, and nothing else."""

import errno
import re
from pathlib import Path

from ksftlib.ktap import Context, Skip, equal, raises_errno
from tcmulib.configfs import Device
from tcmulib.impl import implementation
from tcmulib.module import TCMU
from tcmulib.suite import Suite

suite = Suite()

_DEVICE = "/sys/kernel/config/target/core/user_<hba>/<device>/"
_PARAMETERS = "/sys/module/target_core_user/parameters/"

#: Files of the target core whose meaning depends on the backend.
_CORE_FILES = ("control", "enable", "info")


def documentation() -> Path:
    """The folder; Skip where there is none, as in an installation."""
    for folder in Path(__file__).resolve().parents:
        found = folder / "Documentation"
        if (found / "target/tcmu-configfs.rst").is_file():
            return found
    raise Skip("Documentation/target/tcmu-configfs.rst is not here")


def entries(folder: str) -> dict[str, str]:
    """The description of each file that Documentation/ABI has in a folder."""
    found: dict[str, str] = {}
    for path in (documentation() / "ABI/testing").iterdir():
        for entry in re.split(r"^What:", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            what, _, rest = entry.partition("\n")
            if what.strip().startswith(folder):
                name = what.strip().removeprefix(folder)
                assert name not in found, f"{name} has two entries"
                found[name] = rest.partition("Description:\n")[2]
    return found


def modes(descriptions: dict[str, str]) -> dict[str, str]:
    """What the entries say at first: (RW), (RO) or (WO)."""
    found = {}
    for name, text in descriptions.items():
        match = re.match(r"\t\t\((RW|RO|WO)\) ", text)
        assert match, f"{name}: the description does not begin with (RW), (RO) or (WO)"
        found[name] = match[1]
    return found


def mode(path: Path) -> str:
    """What a file can be opened for."""
    bits = path.stat().st_mode
    reading, writing = bits & 0o444 != 0, bits & 0o222 != 0
    return {(True, True): "RW", (True, False): "RO", (False, True): "WO"}[reading, writing]


def files(device: Device) -> dict[str, str]:
    """The files of a device that belong to the backend, and their modes."""
    paths = [device.path / name for name in _CORE_FILES]
    for folder in ("attrib", "action"):
        paths += (device.path / folder).iterdir()
    return {str(path.relative_to(device.path)): mode(path) for path in paths}


def only_rust() -> None:
    """Documentation/ABI describes this project's module."""
    if implementation() == "c":
        raise Skip("Documentation/ABI here is that of the Rust module")


@suite.test("every file of a device has an entry in Documentation/ABI, with its mode")
def device_files(context: Context) -> None:
    only_rust()
    equal(files(Device(context)), modes(entries(_DEVICE)), "files and modes")


@suite.test("every module parameter has an entry in Documentation/ABI, with its mode")
def parameters(_context: Context) -> None:
    only_rust()
    found = {path.name: mode(path) for path in TCMU.parameters.iterdir()}
    equal(found, modes(entries(_PARAMETERS)), "parameters and modes")


@suite.test("every option that is documented for control is one")
def options(context: Context) -> None:
    only_rust()
    names = re.findall(r"^\t\t(\w+)=<\w+>$", entries(_DEVICE)["control"], re.M)
    assert names, "no option is documented"
    device = Device(context)
    for name in names:
        # Of a name that is not known the value does not matter.
        raises_errno(errno.EINVAL, lambda: device.control(f"{name}="), f"{name} without a value")


@suite.test("the page for administrators names every file, parameter and option")
def page(context: Context) -> None:
    only_rust()
    text = (documentation() / "target/tcmu-configfs.rst").read_text(encoding="utf-8")
    names = [name.rpartition("/")[2] for name in files(Device(context))]
    names += [path.name for path in TCMU.parameters.iterdir()]
    names += re.findall(r"^\t\t(\w+)=<\w+>$", entries(_DEVICE)["control"], re.M)
    equal([name for name in names if f"``{name}``" not in text], [], "names that are not there")


if __name__ == "__main__":
    suite.run()

# SPDX-License-Identifier: GPL-2.0
"""The files in configfs and sysfs: what the sources make, and what Documentation/ABI says of them.

Each file has a name such as ``attrib/dev_size`` and a mode, ``RW``, ``RO`` or ``WO``. The options
that the file ``control`` takes count as files ``control/NAME`` without a mode.
"""

import re
from pathlib import Path

from .errors import LabError

Files = dict[str, str]

#: Files of the core whose meaning depends on the backend.
_CORE_FILES = ("control", "enable", "info")

#: What the entries of Documentation/ABI begin with, and what that is here.
_ABI_FOLDERS = {
    "/sys/kernel/config/target/core/user_<hba>/<device>/": "",
    "/sys/module/target_core_user/parameters/": "parameters/",
}

#: The page for administrators, which names every file too.
_PAGE = "Documentation/target/tcmu-configfs.rst"


def _mode(read: bool, write: bool) -> str:
    return {(True, True): "RW", (True, False): "RO", (False, True): "WO"}.get((read, write), "none")


def _need(found: Files, what: str) -> Files:
    if not found:
        raise LabError(f"found no {what}: the check no longer understands the sources")
    return found


def attributes(text: str) -> Files:
    """What ``tcmu/attributes.rs`` registers in the folders ``attrib`` and ``action``."""
    types = {}
    for name, body in re.findall(
        r"^impl Attribute<Tcmu> for (\w+) \{\n(.*?)^\}", text, re.M | re.S
    ):
        if match := re.search(r'const NAME: &\'static CStr = c"(\w+)"', body):
            mode = _mode(" fn show(" in body, " fn store(" in body)
            types[name] = (match[1], mode)
    for name, file in re.findall(r'^size_attribute! \{[^}]*?(\w+), c"(\w+)"', text, re.M):
        types[name] = (file, "RO")
    found: Files = {}
    for folder in ("attrib", "action"):
        table = re.search(rf"^pub\(crate\) fn {folder}\(\).*?^\}}", text, re.M | re.S)
        for name in re.findall(r"\.with::<Tcmu, (\w+)>", table[0] if table else ""):
            if name not in types:
                raise LabError(f"attributes.rs: cannot find name and mode of {name}")
            file, mode = types[name]
            found[f"{folder}/{file}"] = mode
    return _need(found, "attributes")


def options(text: str) -> Files:
    """The options that ``tcmu/logic/parameters.rs`` takes."""
    parse = re.search(r"^fn parse\(.*?^\}", text, re.M | re.S)
    names = re.findall(r'^\s+b"(\w+)"', parse[0] if parse else "", re.M)
    return _need({f"control/{name}": "" for name in names}, "options of control")


def parameters(text: str) -> Files:
    """The module parameters in ``tcmu/parameters.rs``."""
    modes = dict(re.findall(r"^impl Parameter for (\w+) \{\n    const MODE: u16 = 0o(\d+);", text, re.M))
    names = re.findall(r'^module_parameter!\(\s+"\w+",\s+"(\w+)",\s+(\w+),', text, re.M)
    found = [(name, modes[kind]) for name, kind in names]
    return _need(
        {
            f"parameters/{name}": _mode(bool(int(mode, 8) & 0o444), bool(int(mode, 8) & 0o222))
            for name, mode in found
        },
        "module parameters",
    )


def core(text: str) -> Files:
    """What the core (``target_core_configfs.c``) gives backends that pass commands through."""
    modes = {"": "RW", "_RO": "RO", "_WO": "WO"}
    declared = {
        prefix + name: modes[kind]
        for kind, prefix, name in re.findall(
            r"^CONFIGFS_ATTR(_RO|_WO|)\((\w*), (\w+)\);", text, re.M
        )
    }
    found: Files = {}
    for table in ("passthrough_attrib_attrs", "passthrough_pr_attrib_attrs"):
        body = re.search(
            rf"^struct configfs_attribute \*{table}\[\] = \{{.*?^\}}", text, re.M | re.S
        )
        names = re.findall(r"&attr_(\w+),", body[0] if body else "")
        _need(dict.fromkeys(names, ""), f"attributes in {table}")
        found |= {f"attrib/{name}": declared[name] for name in names}
    return found | {name: declared[f"target_dev_{name}"] for name in _CORE_FILES}


def documented(text: str) -> Files:
    """What a file in Documentation/ABI describes; LabError for what is not in its form."""
    found: Files = {}
    for entry in re.split(r"^What:", text, flags=re.M)[1:]:
        what, _, rest = entry.partition("\n")
        what = what.strip()
        folder = next((folder for folder in _ABI_FOLDERS if what.startswith(folder)), None)
        if folder is None:
            raise LabError(f"{what}: not in one of the folders {', '.join(_ABI_FOLDERS)}")
        name = _ABI_FOLDERS[folder] + what.removeprefix(folder)
        description = re.search(r"^Description:\n\t\t\((RW|RO|WO)\) (?s:.*)", rest, re.M)
        if description is None:
            raise LabError(f"{what}: the description does not begin with (RW), (RO) or (WO)")
        if name in found:
            raise LabError(f"{what}: is there twice")
        found[name] = description[1]
        if name == "control":
            for option in re.findall(r"^\t\t(\w+)=<\w+>$", description[0], re.M):
                found[f"control/{option}"] = ""
    return found


def differences(source: Files, document: Files, page: str) -> list[str]:
    """What is not documented, documented but not there, or documented with another mode.

    `page` is the text of the page for administrators.
    """
    wrong = [
        f"{name}: has no entry in Documentation/ABI" for name in source.keys() - document.keys()
    ]
    wrong += [
        f"{name}: documented, but not in the sources" for name in document.keys() - source.keys()
    ]
    wrong += [
        f"{name}: is {source[name]}, documented as {document[name]}"
        for name in source.keys() & document.keys()
        if source[name] != document[name]
    ]
    for name in source:
        if f"``{name.rpartition('/')[2]}``" not in page:
            wrong.append(f"{name}: is not in {_PAGE}")
    return sorted(wrong)


def check(checkout: Path, kernel_source: Path) -> list[str]:
    """All differences of a checkout that is built with a kernel source."""

    def text(path: Path) -> str:
        return path.read_text(encoding="utf-8")

    tcmu = checkout / "drivers/target/tcmu"
    source = (
        core(text(kernel_source / "drivers/target/target_core_configfs.c"))
        | attributes(text(tcmu / "attributes.rs"))
        | options(text(tcmu / "logic/parameters.rs"))
        | parameters(text(tcmu / "parameters.rs"))
    )
    abi = checkout / "Documentation/ABI/testing"
    document = documented(text(abi / "configfs-target-tcmu"))
    document |= documented(text(abi / "sysfs-module-target_core_user"))
    return differences(source, document, text(checkout / _PAGE))

# SPDX-License-Identifier: GPL-2.0
"""The checks of the documentation: markup, ABI entries, netlink specifications."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import tools
from .base import CHECKOUT, LAB, Cache, LabError
from .report import Report, detail_of
from .run import clean_environment

#: Seconds that one of the tools may take; they need about one.
_PATIENCE = 600

_SPECS = CHECKOUT / "Documentation/netlink/specs"


def _run(command: list[str]) -> str:
    """Standard output of a tool; LabError if it fails, or has anything to complain about."""
    try:
        done = subprocess.run(
            command, cwd=CHECKOUT, env=clean_environment(), check=False, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LabError(f"'{' '.join(command)}' takes more than {_PATIENCE} s") from error
    if done.returncode != 0 or done.stderr:
        raise LabError(done.stderr or f"exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def _lint(python: Path, *arguments: str) -> Any:
    return json.loads(_run([str(python), "-B", str(LAB / "lint_docs.py"), *arguments]))


def enumeration(header: str, name: str) -> dict[str, int]:
    """Names and values of an enum of a uapi header that counts up from 0."""
    body = re.search(rf"^enum {name} \{{(.*?)^\}}", header, re.M | re.S)
    names = re.findall(r"^\s+(\w+),", body[1] if body else "", re.M)
    if not names:
        raise LabError(f"the header has no enum {name} in the usual form")
    return {name: value for value, name in enumerate(names) if not name.startswith("__")}


def spec_differences(spec: dict[str, Any], header: str) -> list[str]:
    """Where the numbers of a netlink specification are not those of its uapi header."""
    wrong = []
    for name, values in spec["enums"].items():
        wanted = enumeration(header, name)
        found = {key.upper().replace("-", "_"): value for key, value in values.items()}
        for key in sorted(wanted.keys() | found.keys()):
            # The first one, which means none, need not be in the specification.
            if wanted.get(key) != found.get(key) and not (key.endswith("_UNSPEC") and key not in found):
                wrong.append(f"{key}: {wanted.get(key)} in the header, {found.get(key)} here")
    return wrong


def _markup(report: Report, python: Path, get_abi: list[str], listed: list[Path]) -> None:
    names = [str(path.relative_to(CHECKOUT)) for path in listed if path.suffix == ".rst"]
    with tempfile.NamedTemporaryFile("w", suffix=".rst", encoding="utf-8") as abi:
        abi.write(_run([*get_abi, "rest"]))
        abi.flush()
        found = _lint(python, "rst", *names, abi.name)
        rest = found.pop(abi.name)
    for name, warnings in found.items():
        report.verdict(f"docutils {name}", "\n".join(warnings))
    report.verdict("docutils Documentation/ABI", "\n".join(rest))


def check(report: Report, cache: Cache, kernel_source: Path, listed: list[Path]) -> None:
    """All checks of the documentation, with the tools of a kernel source where it has some."""
    get_abi = [
        sys.executable, "-B", str(kernel_source / "tools/docs/get_abi.py"),
        "-D", "Documentation/ABI",
    ]  # fmt: skip
    try:
        python = tools.docs(cache)
        _markup(report, python, get_abi, listed)
    except LabError as error:
        report.fail("docutils", detail_of(error))
        return
    steps: dict[str, Callable[[], list[str]]] = {
        "get_abi.py validate": lambda: _run([*get_abi, "validate"]).splitlines(),
    }
    for spec in sorted(_SPECS.glob("*.yaml")):
        steps[f"netlink specification {spec.stem}"] = partial(_netlink, python, kernel_source, spec)
    for name, step in steps.items():
        try:
            report.verdict(name, "\n".join(step()))
        except LabError as error:
            report.fail(name, detail_of(error))


def _netlink(python: Path, kernel_source: Path, path: Path) -> list[str]:
    schemas = kernel_source / "Documentation/netlink"
    library = kernel_source / "tools/net/ynl"
    spec = _lint(python, "spec", str(path), str(schemas), str(library))
    header = kernel_source / "include/uapi" / spec["header"]
    return spec_differences(spec, header.read_text(encoding="utf-8"))

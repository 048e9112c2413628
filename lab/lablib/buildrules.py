# SPDX-License-Identifier: GPL-2.0
"""The rules in scripts/kbuild, seen on the small module that they are tested with; Kconfig."""

import os
import subprocess
import tempfile

from . import project
from .base import CHECKOUT, LabError
from .env import Lab
from .kernel import Kernel, make_command
from .report import Report, detail_of
from .run import locked, logged
from .tools import build_environment

#: Only the test's module.
_OPTIONS = (
    "CONFIG_KBUILD_RULES_TEST=m", "CONFIG_TARGET_CORE_TMR_RUST=n", "CONFIG_TCM_USER2_RUST=n",
    "CONFIG_SAMPLE_TARGET_RUST=n", "modules",
)  # fmt: skip

#: What the build says of a C file that the semantic patch does not match.
_REFUSAL = "spatch: counter.cocci: rule next matches nothing (in drivers/counter/counter.c of Linux {})"


def check(report: Report, lab: Lab, kernel: Kernel) -> None:
    """The module builds; with the C file of another kernel the build ends with one line."""
    report.verdict("Kconfig has the switch of each module", _kconfig(kernel))
    folder = project.output_folder(lab.cache, kernel, "rules")
    with locked(lab.cache, f"rules-{folder.name}"):
        name = "build rules: bindings, mixed module, semantic patch"
        try:
            lines = _build(lab, kernel, "matching")
            found = "\n".join(project.warnings(lines))
            report.verdict(name, found)
        except LabError as error:
            report.fail(name, detail_of(error))
        lines = []
        try:
            _build(lab, kernel, "not-matching", "RULES_TEST_TREE=other-tree", lines=lines)
            wrong = "the build succeeded"
        except LabError:
            expected = [_REFUSAL.format(kernel.release)]
            said = [line for line in lines if line.startswith("spatch:")]
            wrong = "" if said == expected else "\n".join(lines)
        report.verdict("build rules: a semantic patch that does not match", wrong)


def _kconfig(kernel: Kernel) -> str:
    """What the kernel's own program says of the top Kconfig, and what that lacks."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(kernel.build / "scripts/kconfig/conf"), "--alldefconfig", "Kconfig"], cwd=folder,
            env={**os.environ, "srctree": str(CHECKOUT), "KCONFIG_CONFIG": ".config"}, check=False,
            text=True, stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    if done.returncode or done.stderr:
        return f"status {done.returncode}\n{done.stderr}"
    table = (CHECKOUT / "scripts/kbuild/modules").read_text(encoding="utf-8")
    switches = [line.split()[1] for line in table.splitlines() if line and line[0] != "#"]
    entries = {
        line.split()[1]
        for path in CHECKOUT.rglob("Kconfig")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("config ")
    }
    return "\n".join(
        f"no entry for {name}" for name in switches if name.removeprefix("CONFIG_") not in entries
    )


def _build(
    lab: Lab, kernel: Kernel, name: str, *options: str, lines: list[str] | None = None
) -> list[str]:
    folder = project.output_folder(lab.cache, kernel, "rules") / name
    folder.mkdir(parents=True, exist_ok=True)
    output = [] if lines is None else lines
    logged(
        f"the test of the build rules ({name})",
        make_command(
            kernel.source, kernel.build, f"M={CHECKOUT}", f"MO={folder}", *_OPTIONS, *options
        ),
        lab.cache.folder("log") / f"rules-{name}.log",
        build_environment(lab.cache),
        on_line=output.append,
    )
    return output

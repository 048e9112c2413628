# SPDX-License-Identifier: GPL-2.0
"""make in-tree-check: all series of patches are applied to the kernel source, built and booted.

A form is one kernel for all subsystems, each of which is then tested in guests of its own. The
forms share one build folder, one after the other, so that each builds only
what its configuration changes.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import hostcheck, kconfig, project, subsystem, vm, vmcheck
from .base import CHECKOUT, LabError, key, say
from .env import Lab
from .kernel import Kernel, build_tree
from .report import Report, detail_of
from .run import locked
from .sources import KernelSource
from .subsystem import Subsystem
from .tools import toolchain

#: Makes the patches and applies them.
_SERIES = CHECKOUT / "scripts/patches/series.py"

#: What it keeps in a tree: the difference that it has made.
_APPLIED = ".rust-subsystems.diff"


@dataclass(frozen=True)
class Form:
    """One configuration of the tree."""

    name: str
    #: Names of the fragments of each subsystem, see `Subsystem.in_tree`.
    configs: tuple[str, ...]
    #: The implementation that the guest must find: ``rust`` or ``c``.
    implementation: str
    #: Whether it is a module.
    module: bool

    def fragments(self) -> list[Path]:
        """Those that there are."""
        paths = (
            each.in_tree / f"{name}.config"
            for name in self.configs for each in subsystem.everything()
        )  # fmt: skip
        return [path for path in paths if path.is_file()]


FORMS = (
    Form("Rust, =m", ("rust",), "rust", module=True),
    Form("Rust, =y", ("rust", "builtin"), "rust", module=False),
    Form("C, =m", ("c",), "c", module=True),
)


def main(lab: Lab, wanted: str = "") -> int:
    """Checks all forms, or those whose name begins with `wanted`; returns the exit status."""
    report = Report()
    source, rust_library = lab.prepare()
    # The tests are not beside them there: a variable with the name of each says where it is.
    tools = hostcheck.build_programs(subsystem.everything())
    programs = {path.name.upper().replace("-", "_"): str(path) for path in tools}
    name = f"{lab.flavour}-{key('series', source.identity, str(rust_library), *toolchain())}"
    tree = lab.cache.folder("in-tree") / name
    with locked(lab.cache, f"in-tree-{name}"):
        copy_tree(source, tree)
        _put(report, tree)
        for form in FORMS:
            if form.name.startswith(wanted):
                _check(report, lab, tree, rust_library, programs, form)
    return report.summary()


def _put(report: Report, tree: Path) -> None:
    """Applies the series to `tree`; LabError if they do not apply."""
    mails = tree.with_name(f"{tree.name}.patches")
    status, said = _series("patches", str(tree), "--output", str(mails), "--check")
    report.verdict("in-tree: checkpatch on the series", "" if status == 0 else said)
    status, said = _series("in-tree", str(tree), "--mails", str(mails))
    if status:
        raise LabError(said)
    say(f"in-tree: {said.splitlines()[-1]}; the patches are in {mails}")
    status, said = _series("in-tree", str(tree))
    unchanged = status == 0 and said.endswith(" 0 files written, 0 removed\n")
    report.verdict("in-tree: a second time changes nothing", "" if unchanged else said)


def _series(*arguments: str) -> tuple[int, str]:
    """Status and output of the program that makes the series."""
    done = subprocess.run(
        [str(_SERIES), *arguments], check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def copy_tree(source: KernelSource, tree: Path) -> None:
    """Makes `tree` a copy of `source`, of hard links where that is possible.

    What is written into the copy has to replace files instead of changing them.
    """
    if source.users:
        # It may be changed in place at any time: copied for good, and again.
        tree.mkdir(exist_ok=True)
        _copy(["rsync", "-a", "--delete", f"{source.path}/", f"{tree}/"])
    elif not (tree / "Makefile").is_file():
        say(f"copying {source.path} to {tree}")
        partial = tree.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _copy(["cp", "-al", str(source.path), str(partial)])
        partial.rename(tree)


def _copy(command: list[str]) -> None:
    done = subprocess.run(command, check=False, text=True, capture_output=True)
    if done.returncode:
        raise LabError(f"cannot copy the kernel source: {done.stderr.strip()}")


def _check(
    report: Report, lab: Lab, tree: Path, rust_library: Path, tools: dict[str, str], form: Form
) -> None:
    """One form: it builds without warnings, and works in a guest."""
    try:
        kernel = _build(lab, tree, rust_library, form)
    except LabError as error:
        report.fail(f"in-tree {form.name}: builds without warnings", detail_of(error))
        return
    report.ok(f"in-tree {form.name}: builds without warnings")
    for each in subsystem.everything():
        if (each.in_tree / "guest.sh").is_file():
            guest = vm.Guest(kernel, "none", parameters=each.in_tree_parameters, subsystems=(each,))
            _in_guests(report, lab, each, guest, tools, form)


def _in_guests(
    report: Report, lab: Lab, tested: Subsystem, guest: vm.Guest, tools: dict[str, str], form: Form
) -> None:
    """One subsystem of a form: it is there, and passes its tests."""
    script = [str(tested.in_tree / "guest.sh"), "m" if form.module else "y", form.implementation]
    # A test that the stock C modules cannot pass says nothing about the form.
    programs = tested.in_tree_programs if form.implementation == "rust" else ()
    for program in ("true", *programs):
        say(f"in-tree {form.name}: starting a guest for {program}")
        command = [*script, program if program == "true" else f"./{program}"]
        folder = guest.kernel.source / "tools/testing/selftests" / tested.name
        seconds = vmcheck.timeout(folder) * vmcheck.BUSY_FACTOR
        result = vm.run(lab.cache, guest, command, seconds, tools, folder)
        name = f"in-tree {form.name}: {program}"
        if program == "true":
            report.verdict(
                f"in-tree {form.name}: {tested.name} is there",
                "" if result.ok else f"{result.problem()}\n{result.output}",
            )
        else:
            vmcheck.judge(report, name, result, [])


def _build(lab: Lab, tree: Path, rust_library: Path, form: Form) -> Kernel:
    """The kernel of `form`; LabError for errors and for warnings.

    The output of its build is kept in a log of its own.
    """
    build = lab.cache.folder("build") / f"in-tree-{tree.name}"
    tainted = build / ".lab-warnings"
    if tainted.exists():
        _forget(build, [*changed_folders(tree), "vmlinux.o", "Module.symvers"])
    build.mkdir(exist_ok=True)
    lines: list[str] = []
    tainted.touch()
    try:
        release = build_tree(
            lab.cache, tree, rust_library, lab.flavour,
            kconfig.fragments(lab.flavour, form.fragments()), build,
            _installed(lab, build, form), lines.append,
        )  # fmt: skip
    finally:
        log = lab.cache.folder("log") / f"in-tree-{'-'.join(re.findall('[a-zA-Z]+', form.name))}.log"
        log.write_text("\n".join([*lines, ""]), encoding="utf-8")
        found = project.warnings(lines)
        if not found:
            tainted.unlink()
    if found:
        raise LabError(f"{len(found)} warnings, which count as errors:\n" + "\n".join(found[:20]))
    say(f"in-tree {form.name}: the output of the build is in {log}; its last lines:")
    for line in lines[-5:]:
        print(f"    {line}", file=sys.stderr)
    modules = _installed(lab, build, form) / "lib/modules" / release
    return Kernel(tree, build, lab.flavour, release, modules)


def changed_folders(tree: Path) -> list[str]:
    """The folders of `tree` in which the series have changed something."""
    text = (tree / _APPLIED).read_text(encoding="utf-8", errors="replace")
    names = re.findall(r"^diff --git a/(\S+) ", text, re.M)
    return sorted({str(Path(name).parent) for name in names} - {"."})


def _installed(lab: Lab, build: Path, form: Form) -> Path:
    return lab.cache.root / "installed" / f"{build.name}-{'-'.join(form.configs)}"


def _forget(build: Path, names: Iterable[str]) -> None:
    """Removes what gave warnings, so that make compiles it again and they show again."""
    for name in names:
        path = build / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            os.unlink(path)

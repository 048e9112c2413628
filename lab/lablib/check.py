# SPDX-License-Identifier: GPL-2.0
"""make check: all checks, counted one by one."""

import time
from concurrent.futures import ThreadPoolExecutor

from . import (
    buildrules, compilefail, documents, files, hostcheck, project, subsystem, vm, vmcheck,
)  # fmt: skip
from .base import LabError, say
from .env import Lab
from .kernel import Kernel
from .report import Report, detail_of

#: Steps that can be chosen by name, in the order in which they report.
STEPS = ("lab", "format", "style", "modules", "tools", "kselftest")


def main(lab: Lab, implementation: str, steps: list[str], pattern: str) -> int:
    """Runs `steps` (all if empty); returns the exit status.

    With `implementation` ``c`` only the kselftests run: the other steps do not
    depend on it. `pattern` chooses among the programs of the kselftests.
    """
    started = time.monotonic()
    chosen = steps or list(STEPS)
    if implementation == "c":
        chosen = ["kselftest"]
    report = Report()
    kernel = lab.kernel()
    try:
        # The guests run while the host does its steps; their results come last.
        guests, failed = None, ""
        if "kselftest" in chosen:
            try:
                guests = _start(lab, kernel, implementation, pattern)
            except LabError as error:
                failed = detail_of(error)
        _host_steps(report, lab, kernel, chosen)
        if guests:
            try:
                guests.finish(report)
            except LabError as error:
                failed = detail_of(error)
        if failed:
            # Last, as the steps of the host may say more.
            report.fail("kselftests", failed)
    except BaseException:
        vm.stop_all()
        raise
    say(f"{lab.flavour} kernel, {implementation} modules: {time.monotonic() - started:.0f} s")
    return report.summary()


def _start(lab: Lab, kernel: Kernel, implementation: str, pattern: str) -> vmcheck.Kselftests:
    programs = vmcheck.matching(pattern)
    if not programs:
        raise LabError(f"no program matches '{pattern}'")
    # Both wait for one processor most of the time.
    with ThreadPoolExecutor() as pool:
        building = pool.submit(hostcheck.build_programs, subsystem.everything())
        build = subsystem.needs_build(implementation, {each.subsystem for each in programs})
        rust = project.ensure(lab.cache, kernel) if build else None
        building.result()
    return vmcheck.Kselftests(
        lab, programs,
        lambda subsystems: vm.Guest(kernel, implementation, rust, subsystems=subsystems),
    )  # fmt: skip


def _host_steps(report: Report, lab: Lab, kernel: Kernel, chosen: list[str]) -> None:
    listed = files.project_files()

    def lab_itself() -> None:
        hostcheck.lab_tests(report, kernel)
        hostcheck.guest_test(report, lab, kernel)
        hostcheck.cfi_test(report, lab, kernel)

    def style() -> None:
        hostcheck.style(report, kernel, listed)
        hostcheck.series(report, kernel)
        documents.check(report, lab.cache, kernel.source, listed)

    def modules() -> None:
        hostcheck.module_build(report, lab, kernel)
        compilefail.check(report, lab, kernel)
        buildrules.check(report, lab, kernel)

    def tools() -> None:
        hostcheck.cargo(report, listed)
        hostcheck.tools_build(report)

    for name, step in (
        ("lab", lab_itself),
        ("format", lambda: hostcheck.formatting(report, kernel, listed)),
        ("style", style),
        ("modules", modules),
        ("tools", tools),
    ):
        if name in chosen:
            start = time.monotonic()
            step()
            say(f"step {name}: took {time.monotonic() - start:.0f} s")

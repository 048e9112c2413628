# SPDX-License-Identifier: GPL-2.0
"""make check: all checks, counted one by one."""

import time

from . import buildrules, documents, features, files, hostcheck, project, subsystem, vm, vmcheck
from .env import Lab
from .errors import LabError
from .report import Report, detail_of
from .say import say

#: Steps that can be chosen by name, in the order in which they run.
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
    listed = files.project_files()
    if "lab" in chosen:
        hostcheck.lab_tests(report)
        hostcheck.guest_test(report, lab, kernel)
        hostcheck.cfi_test(report, lab, kernel)
        features.check(report, kernel)
    if "format" in chosen:
        hostcheck.formatting(report, kernel, listed)
    if "style" in chosen:
        hostcheck.style(report, kernel, listed)
        hostcheck.series(report, kernel)
        documents.check(report, lab.cache, kernel.source, listed)
    if "modules" in chosen:
        hostcheck.module_build(report, lab, kernel)
        buildrules.check(report, lab, kernel)
    if "tools" in chosen:
        hostcheck.cargo(report, listed)
        hostcheck.tools_build(report)
    if "kselftest" in chosen:
        try:
            hostcheck.build_programs(subsystem.everything())
            rust_modules = project.ensure(lab.cache, kernel) if implementation == "rust" else None
            guest = vm.Guest(kernel, implementation, rust_modules)
            vmcheck.kselftests(report, lab, guest, pattern)
        except LabError as error:
            report.fail("kselftests", detail_of(error))
    say(f"{lab.flavour} kernel, {implementation} modules: {time.monotonic() - started:.0f} s")
    return report.summary()

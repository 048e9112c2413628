# SPDX-License-Identifier: GPL-2.0
"""The checks that need no virtual machine."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import files, project, subsystem, vm
from .base import CHECKOUT, LAB, LabError, say
from .env import Lab
from .kernel import Kernel
from .report import Report, detail_of
from .run import clean_environment, locked, output
from .subsystem import Subsystem

_CARGO_SUMMARY = re.compile(
    r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.M
)
_CARGO_FAILED = re.compile(r"^test (.+) \.\.\. FAILED$", re.M)

#: The kernel's limit for a line.
_COLUMNS = 100


def _captured(command: Sequence[str], cwd: Path = CHECKOUT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=cwd, env=clean_environment(), check=False, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _status(done: "subprocess.CompletedProcess[str]") -> str:
    """Detail of a command whose exit status decides; empty if it succeeded."""
    if done.returncode == 0:
        return ""
    return done.stdout or f"exit status {done.returncode}"


def _relative(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def formatting(report: Report, kernel: Kernel, listed: list[Path]) -> None:
    """rustfmt with the kernel's settings on the kernel's Rust files, and lines that it leaves."""
    config = str(kernel.source / ".rustfmt.toml")
    command = ["rustfmt", "--check", "--color", "never", "--config-path", config]
    for path in files.kernel_rust(listed):
        done = _captured([*command, "--edition", "2021", str(path)])
        report.verdict(f"rustfmt {_relative(path)}", _status(done) or long_lines(path))


def long_lines(path: Path) -> str:
    """Lines that checkpatch has to say something of: rustfmt wraps no comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [number for number, line in enumerate(lines, 1) if len(line) > _COLUMNS]
    return "\n".join(f"{_relative(path)}:{number}: above {_COLUMNS} columns" for number in found)


def module_build(report: Report, lab: Lab, kernel: Kernel) -> None:
    """The modules build without warnings, and clippy has nothing to say."""
    try:
        project.ensure(lab.cache, kernel)
        report.ok("modules build without warnings")
    except LabError as error:
        report.fail("modules build without warnings", detail_of(error))
    folder = project.output_folder(lab.cache, kernel, "clippy")
    try:
        with locked(lab.cache, f"clippy-{folder.name}"):
            project.build(lab.cache, kernel, "clippy", clippy=True)
        report.ok("clippy on the modules, kernel lint set")
    except LabError as error:
        report.fail("clippy on the modules, kernel lint set", detail_of(error))


def style(report: Report, kernel: Kernel, listed: list[Path]) -> None:
    """checkpatch and shellcheck, one check a file."""
    checkpatch = str(kernel.source / "scripts/checkpatch.pl")
    for path in files.kernel_style(listed):
        command = [checkpatch, "--strict", "--no-tree", "--terse", "--no-summary", "--show-types"]
        if path.name == "exports.c":
            # It exports what Rust defines, so no definition can stand above.
            command += ["--ignore", "EXPORT_SYMBOL"]
        if path.name == "Kconfig":
            # Its purpose is to name others.
            command += ["--ignore", "EMBEDDED_FILENAME"]
        done = _captured([*command, "-f", _relative(path)])
        report.verdict(f"checkpatch {_relative(path)}", done.stdout.strip() or _status(done))
    for path in files.shell_scripts(listed):
        done = _captured(["shellcheck", "--external-sources", "--source-path", ".", _relative(path)])
        report.verdict(f"shellcheck {_relative(path)}", _status(done))


def series(report: Report, kernel: Kernel) -> None:
    """The series of patches for a kernel tree can be made, each on its own."""
    with tempfile.TemporaryDirectory() as folder:
        program = str(CHECKOUT / "scripts/patches/series.py")
        done = _captured([program, "patches", str(kernel.source), "--output", folder])
    report.verdict("the series of patches apply to the kernel source", _status(done))


def cargo(report: Report, listed: list[Path]) -> None:
    """Formatting, clippy and tests of the Rust code for user space."""
    for folder in files.cargo_workspaces(listed):
        name = _relative(folder)
        say(f"cargo fmt, clippy and test in {name}")
        done = _captured(["cargo", "fmt", "--all", "--check"], folder)
        report.verdict(f"cargo fmt {name}", _status(done))
        done = _captured(
            ["cargo", "clippy", "--locked", "--all-targets", "--", "--deny", "warnings"], folder
        )
        report.verdict(f"cargo clippy {name}", _status(done))
        done = _captured(["cargo", "test", "--locked", "--no-fail-fast"], folder)
        _cargo_tests(report, name, done)


def cargo_counts(output: str) -> tuple[int, list[str], int]:
    """Passed, names of failed, and ignored tests in the output of ``cargo test``."""
    passed = ignored = failed = 0
    for match in _CARGO_SUMMARY.finditer(output):
        passed += int(match[1])
        failed += int(match[2])
        ignored += int(match[3])
    names = _CARGO_FAILED.findall(output)
    # The summary is what counts; a test's line can be torn by its own output.
    names += ["(name unknown)"] * (failed - len(names))
    return passed, names, ignored


def _cargo_tests(report: Report, name: str, done: "subprocess.CompletedProcess[str]") -> None:
    passed, failed, ignored = cargo_counts(done.stdout)
    print(f"ok       {passed} tests of cargo test {name}", flush=True)
    report.passed += passed
    for test in failed:
        report.fail(f"cargo test {name}: {test}", done.stdout)
    if ignored:
        report.skip(f"cargo test {name}", f"{ignored} tests are marked as ignored")
    if done.returncode != 0 and not failed:
        report.fail(f"cargo test {name}", done.stdout)
    elif not passed and not failed:
        report.fail(f"cargo test {name}", "no tests were run")


def is_static(executable: Path) -> bool:
    """Whether an ELF file asks for no dynamic loader."""
    headers = output(["readelf", "--wide", "--program-headers", str(executable)])
    return not re.search(r"^\s*INTERP\s", headers, re.M)


def build_programs(subsystems: Iterable[Subsystem]) -> list[Path]:
    """Builds the user space programs that the tests of `subsystems` call; returns the executables.

    LabError when it fails.
    """
    names = dict.fromkeys(name for each in subsystems for name in each.cargo)
    return [path for name in names for path in _build_workspace(CHECKOUT / name)]


def _build_workspace(folder: Path) -> list[Path]:
    say(f"building the user space programs in {_relative(folder)}")
    done = subprocess.run(
        ["cargo", "build", "--release", "--locked", "--bins",
         "--message-format=json-render-diagnostics"],
        cwd=folder, env=clean_environment(), check=False, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"cargo build failed in {folder}:\n{done.stderr}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [Path(message["executable"]) for message in messages if message.get("executable")]


def tools_build(report: Report) -> None:
    """The user space programs build, and run in any guest because they are static."""
    try:
        executables = build_programs(subsystem.everything())
    except LabError as error:
        report.fail("build of the user space programs", detail_of(error))
        return
    if not executables:
        report.fail("build of the user space programs", "cargo built no executable")
    for path in executables:
        dynamic = "" if is_static(path) else "it needs a dynamic loader"
        report.verdict(f"{path.name} is linked statically", dynamic)


#: Run in a guest: a kernel report on the console and a status of its own.
_GUEST_SCRIPT = "echo to the output; echo 'WARNING: lab self-test' > /dev/kmsg; exit 3"


def guest_test(report: Report, lab: Lab, kernel: Kernel) -> None:
    """A guest hands back its script's output, its status and the kernel's reports."""
    result = vm.run(lab.cache, vm.Guest(kernel, "none"), ["sh", "-c", _GUEST_SCRIPT], 300.0)
    wrong = []
    if result.status != 3:
        wrong.append(f"status {result.status} instead of 3")
    if result.output != "to the output\n":
        wrong.append(f"the output is '{result.output}'")
    if len(result.reports) != 1 or "lab self-test" not in result.reports[0]:
        wrong.append(f"the reports are {result.reports}")
    report.verdict("a guest's output, status and kernel reports arrive", "\n".join(wrong))


#: A call through a pointer of another type than the function's.
_CFI_SCRIPT = "modprobe lkdtm && echo CFI_FORWARD_PROTO > /sys/kernel/debug/provoke-crash/DIRECT"


def cfi_test(report: Report, lab: Lab, kernel: Kernel) -> None:
    """The cfi kernel catches what it is for, and the run counts as failed."""
    if kernel.flavour != "cfi":
        return
    result = vm.run(lab.cache, vm.Guest(kernel, "none"), ["sh", "-c", _CFI_SCRIPT], 60.0)
    caught = any("CFI failure at lkdtm_" in line for line in result.reports)
    report.verdict(
        "a call of another type than the function's is caught",
        "" if caught else f"{result.problem() or 'no report'}\n{result.output}",
    )


def lab_tests(report: Report, kernel: Kernel) -> None:
    """The unit tests of what is in Python: the lab, the selftests' libraries, the tools."""
    # For tests that compare with the kernel's sources.
    os.environ.update(KERNEL_SOURCE=str(kernel.source), KERNEL_RELEASE=kernel.release)
    _unit_tests(report, LAB / "tests", LAB)
    for folder in sorted((CHECKOUT / "selftests").glob("*/unit")):
        _unit_tests(report, folder, folder)
    for folder in sorted((CHECKOUT / "scripts").glob("*/tests")):
        _unit_tests(report, folder, folder)
    for folder in sorted({path.parent for path in (CHECKOUT / "tools").glob("*/test_*.py")}):
        _unit_tests(report, folder, folder)


def _unit_tests(report: Report, folder: Path, top: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", str(LAB / "lablib" / "unit.py"), str(folder), str(top)],
        check=False, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    name = _relative(top)
    last = done.stdout.rstrip().rpartition("\n")[2]
    if done.returncode != 0 or not last.startswith("{"):
        report.fail(f"tests of {name}", done.stdout)
        return
    result = json.loads(last)
    report.passed += result["passed"]
    for test, detail in result["failed"]:
        report.fail(f"unit test {test}", detail)
    print(f"ok       {result['passed']} tests of {name}", flush=True)
    if not result["run"]:
        report.fail(f"tests of {name}", "no tests were run")

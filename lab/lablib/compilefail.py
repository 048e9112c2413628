# SPDX-License-Identifier: GPL-2.0
"""The cases in rust/tests/compile_fail: misuse of the abstractions, which must not compile.

A case is the root of a crate that is compiled as one of the modules' own is, with the parts of
rust/ext that it names. Where an error is expected stands its code, ``//~ E0382``, or a word of
its message. A case that expects none must compile: it shows that the others would.
"""

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from . import project
from .base import CHECKOUT, LabError
from .env import Lab
from .kernel import Kernel
from .report import Report
from .tools import build_environment

CASES = CHECKOUT / "rust" / "tests" / "compile_fail"

#: A line and what rustc says of it, a code of an error or its message if it has none.
Errors = list[tuple[int, str]]


def expected(text: str) -> Errors:
    """What a case says of its own lines."""
    return [
        (number, word)
        for number, line in enumerate(text.splitlines(), 1)
        if (match := re.search(r"//~ (.+)$", line))
        for word in match[1].split()
    ]


def setting(text: str, name: str) -> str:
    """The value of the line ``//@ NAME: VALUE``."""
    match = re.search(rf"^//@ {name}: (.*)$", text, re.M)
    if not match:
        raise LabError(f"a case has no line '//@ {name}: ...'")
    return match[1].strip()


def found(output: str, name: str) -> Errors:
    """The errors in the file `name` in what rustc writes with ``--error-format=short``."""
    errors = []
    for line in output.splitlines():
        match = re.match(rf"\S*{re.escape(name)}:(\d+):\d+: error(?:\[(E\d+)\])?: (.*)", line)
        if match:
            errors.append((int(match[1]), match[2] or match[3]))
    return errors


def fits(wanted: Errors, got: Errors) -> bool:
    """Whether just the expected errors came."""
    return len(wanted) == len(got) and all(
        line == at and (word == what if what.startswith("E0") else word in what)
        for (line, word), (at, what) in zip(sorted(wanted), sorted(got), strict=True)
    )


def command_of(saved: str, source: str, case: Path, parts: list[str], to: Path) -> list[str]:
    """The call of rustc in the text that Kbuild has saved, for `case` instead of `source`.

    Only types and lifetimes are checked. What is written, `to`, is of no use. (rustc moves it
    there, so that it must not be a device.)
    """
    match = re.search(r"^savedcmd_\S+ := (.*?)(?: ;.*)?$", saved, re.M)
    words = shlex.split(match[1]) if match else []
    if sum(word.endswith(source) for word in words) != 1:
        raise LabError(f"Kbuild's command does not compile {source} once")
    kept = [word for word in words if not word.startswith("--emit=")]
    # Names of variables come first, as in a shell.
    command = ["env", *kept]
    command = [str(case) if word.endswith(source) else word for word in command]
    for index in range(len(command) - 1, 0, -1):
        if command[index - 1] == "--cfg" and command[index].startswith("ext_"):
            del command[index - 1 : index + 1]
    for part in parts:
        command += ["--cfg", f"ext_{part}"]
    return [*command, f"--emit=metadata={to}", "--error-format=short", "--cap-lints=allow"]


def check(report: Report, lab: Lab, kernel: Kernel) -> None:
    """Compiles all cases."""
    folder = project.output_folder(lab.cache, kernel, "modules")
    cases = sorted(CASES.glob("*.rs"))
    if not cases:
        report.fail("compile_fail", f"there is no case in {CASES}")
    with tempfile.TemporaryDirectory() as name:
        for case in cases:
            _check(report, lab, folder, case, Path(name) / "metadata")


def _check(report: Report, lab: Lab, folder: Path, case: Path, to: Path) -> None:
    text = case.read_text(encoding="utf-8")
    like = Path(setting(text, "like"))
    saved = folder / like.parent / f".{like.name}.cmd"
    command = command_of(
        saved.read_text(encoding="utf-8"),
        str(like.with_suffix(".rs")), case, setting(text, "uses").split(), to,
    )  # fmt: skip
    bindings = "samples/target" if str(like).startswith("samples/") else "drivers/target"
    environment = build_environment(lab.cache) | {
        "RUSTC_BOOTSTRAP": "1",
        "RUST_BINDINGS": str(folder / bindings / "bindings_generated.rs"),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    wanted, got = expected(text), found(done.stdout, case.name)
    others = len(re.findall(r"^\S+: error", done.stdout, re.M)) - len(got)
    # Also when rustc has failed without looking at the case.
    as_said = fits(wanted, got) and not others and (done.returncode == 0) == (not wanted)
    wrong = "" if as_said else f"expected {wanted}, got:\n{done.stdout}"
    said = ", ".join(f"line {line}: {what}" for line, what in got)
    report.verdict(f"compile_fail {case.stem}: {said or 'compiles'}", wrong)

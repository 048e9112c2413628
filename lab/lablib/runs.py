# SPDX-License-Identifier: GPL-2.0
"""lab run: a program beside the selftests in a virtual machine, with a verdict as the last line.

How it is run stands in the program, in a line ``# lab: ...``. A run that needs several guests has
a part on the host: a module whose `main` is called with `Guests` and the arguments, and returns
the exit status.
"""

import importlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import hostcheck, project, subsystem, vm, vmcheck
from .base import LabError, say
from .env import Lab, implementation_from_environment
from .subsystem import Run

#: A program's own last line.
VERDICT = "verdict: "


def find(name: str) -> Run:
    """The run of that name; LabError if there is none, or more than one."""
    found = [run for each in subsystem.everything() for run in each.runs if run.name == name]
    if len(found) != 1:
        what = f"{len(found)} of that name" if found else "none of that name"
        raise LabError(f"run '{name}': there is {what}\n{listing()}")
    return found[0]


def listing() -> str:
    """A line for each run."""
    return "\n".join(
        f"{run.name:<10} {run.about}" for each in subsystem.everything() for run in each.runs
    )


def limit(run: Run, arguments: Sequence[str]) -> float:
    """Seconds until a guest with these arguments counts as hung."""
    for number, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if run.per_second and flag == "--seconds":
            value = value if equals else next(iter(arguments[number + 1 :]), "")
            try:
                return run.timeout + run.per_second * float(value)
            except ValueError:
                raise LabError(f"{run.name}: --seconds takes a number, not '{value}'") from None
    return run.timeout


@dataclass
class Guests:
    """What a part on the host is given."""

    lab: Lab
    wanted: Run
    implementations: tuple[str, ...]
    #: Seconds for each guest instead of those that the program says.
    timeout: float | None = None

    @property
    def guests(self) -> int:
        """How many guests may run side by side."""
        return vmcheck.guests_at_once()

    @property
    def folder(self) -> Path:
        """Where results that are kept go."""
        return self.lab.cache.folder(self.wanted.name)

    def run(self, implementation: str, arguments: Sequence[str], live: bool = False) -> vm.Result:
        """Runs the program with these arguments in a guest with the modules of `implementation`.

        With `live` its output is shown as it comes.
        """
        return self._run(implementation, arguments, live=live)

    def start(
        self, implementation: str, arguments: Sequence[str], emulator: Sequence[str] = ()
    ) -> "Started":
        """The same, beside others; `emulator` are more words of QEMU's command line."""
        folder = vm.new_results(self.lab.cache)
        # Built before two threads do.
        make_guest(self.lab, implementation, subsystem.of(self.wanted.program))
        results: list[vm.Result] = []

        def body() -> None:
            results.append(self._run(implementation, arguments, tuple(emulator), folder))

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        return Started(folder, thread, results)

    def _run(
        self,
        implementation: str,
        arguments: Sequence[str],
        emulator: tuple[str, ...] = (),
        folder: Path | None = None,
        live: bool = False,
    ) -> vm.Result:
        program = self.wanted.program
        guest = make_guest(self.lab, implementation, subsystem.of(program))
        return vm.run(
            self.lab.cache, replace(guest, emulator=emulator), [str(program), *arguments],
            self.timeout or limit(self.wanted, arguments),
            {"PYTHONDONTWRITEBYTECODE": "1"}, live=live, folder=folder,
        )  # fmt: skip


@dataclass
class Started:
    """A guest that runs beside others."""

    #: Where its results go; ``output`` grows while it runs.
    folder: Path
    _thread: threading.Thread
    _results: list[vm.Result]

    @property
    def output(self) -> str:
        """What the program has printed so far."""
        return vm.read_text(self.folder / "output")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def wait(self) -> vm.Result:
        """How it ended."""
        self._thread.join()
        if not self._results:
            raise LabError("the guest could not be started")
        return self._results[0]


def make_guest(
    lab: Lab, implementation: str, subsystems: tuple[subsystem.Subsystem, ...] | None = None
) -> vm.Guest:
    """A guest with the modules of `implementation`, built if they are this project's."""
    kernel = lab.kernel()
    chosen = subsystem.everything() if subsystems is None else subsystems
    build = subsystem.needs_build(implementation, chosen)
    modules = project.ensure(lab.cache, kernel) if build else None
    return vm.Guest(kernel, implementation, modules, subsystems=chosen)


def main(lab: Lab, name: str, arguments: Sequence[str], timeout: float | None = None) -> int:
    """Runs what has this name; returns the exit status."""
    run = find(name)
    if not os.environ.get("FLAVOUR"):
        lab.flavour = run.flavour
    implementations = run.implementations
    if os.environ.get("IMPL"):
        implementations = (implementation_from_environment(),)
    if run.tools:
        hostcheck.build_programs(subsystem.of(run.program))
    guests = Guests(lab, run, implementations, timeout)
    if run.host:
        try:
            return int(_host(run).main(guests, list(arguments)))
        except RuntimeError as error:
            raise LabError(str(error)) from error
    failed = 0
    for implementation in implementations:
        result = guests.run(implementation, arguments, live=True)
        if not result.ok:
            failed += 1
            vm.explain(result)
        say(f"results are in {result.folder}")
        print(verdict(implementation, lab.flavour, result, " ".join(arguments)), flush=True)
    return 1 if failed else 0


def _host(run: Run) -> Any:
    sys.path.insert(0, str(run.program.parent))
    return importlib.import_module(run.host)


def verdict(implementation: str, flavour: str, result: vm.Result, given: str = "") -> str:
    """The last line: what the program says in its own, and what it cannot know."""
    text = last_line(result, VERDICT) or last_line(result)
    if not result.ok:
        text = "; ".join(filter(None, (f"FAILED: {result.problem()}", text)))
    details = [f"{implementation} modules", f"{flavour} kernel", *([given] if given else [])]
    details.append(f"{len(result.reports)} kernel reports")
    return f"{VERDICT}{text or 'passed'} ({', '.join(details)}{vm.leaks(result)})"


def last_line(result: vm.Result, start: str = "") -> str:
    """What follows `start` in the program's last line that begins with it; empty if none does."""
    lines = [line for line in result.output.splitlines() if line.strip() and line.startswith(start)]
    return lines[-1].removeprefix(start) if lines else ""

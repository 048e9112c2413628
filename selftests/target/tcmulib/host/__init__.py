# SPDX-License-Identifier: GPL-2.0
"""What of the long runs is done on the host: it starts guests and compares what they found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Result(Protocol):
    """How a run in a guest ended."""

    @property
    def folder(self) -> Path:
        """What it left."""

    @property
    def output(self) -> str:
        """What it printed."""

    @property
    def reports(self) -> list[str]:
        """Reports of kernel bugs on the console."""

    @property
    def ok(self) -> bool:
        """It succeeded and the kernel had nothing to report."""

    def problem(self) -> str:
        """Why it failed, in one line; empty if it did not."""


class Lab(Protocol):
    """What the lab gives to a host part's ``main``."""

    @property
    def implementations(self) -> tuple[str, ...]:
        """Those that are wanted: ``rust``, ``c`` or both."""

    @property
    def guests(self) -> int:
        """How many guests may run side by side."""

    @property
    def folder(self) -> Path:
        """Where results that are kept go."""

    def run(self, implementation: str, arguments: Sequence[str], live: bool = False) -> Result:
        """Runs the program in a guest; with `live` its output is shown as it comes."""


def need(result: Result, implementation: str) -> None:
    """RuntimeError unless the run succeeded."""
    if not result.ok:
        raise RuntimeError(
            f"{implementation} modules: {result.problem()}\n{result.output[-3000:]}\n"
            f"results are in {result.folder}"
        )

# SPDX-License-Identifier: GPL-2.0
"""What each subsystem brings along: the folders of selftests/, and what stands in their lab.toml.

A folder with a ``Makefile`` or a ``lab.toml`` is a subsystem. The lab knows nothing of it beyond
that: Documentation/lab.rst says which files it may have.
"""

import ast
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from . import files
from .base import CHECKOUT, LabError

SELFTESTS = CHECKOUT / "selftests"

#: A symbol's definition in Kconfig.
_SYMBOL = re.compile(r"^(?:menu)?config (\w+)$", re.M)


@dataclass(frozen=True)
class Run:
    """A program for a guest that ends with a verdict: a long run, or a demonstration."""

    name: str
    program: Path
    #: Seconds until a guest counts as hung, and for each of the program's ``--seconds``.
    timeout: float = 3600.0
    per_second: float = 0.0
    #: Whether it calls programs of the subsystem's cargo workspaces.
    tools: bool = False
    #: Unless FLAVOUR says which.
    flavour: str = "fast"
    #: Unless IMPL says which; each has a guest of its own.
    implementations: tuple[str, ...] = ("rust",)
    #: A module beside the program whose `main` runs on the host and starts the guests.
    host: str = ""

    @property
    def about(self) -> str:
        """A line on what it does: the first of a Python program's documentation."""
        if self.program.suffix == ".py":
            text = ast.get_docstring(ast.parse(self.program.read_text(encoding="utf-8"))) or ""
            return text.partition("\n")[0]
        return os.path.relpath(self.program, CHECKOUT)


@dataclass(frozen=True)
class Subsystem:
    """One folder of the selftests."""

    folder: Path
    #: Debian packages that the tests need.
    packages: tuple[str, ...] = ()
    #: Those that are unpacked for its guests and not installed.
    unpacked_packages: tuple[str, ...] = ()
    #: Modules that a guest loads, by name: of either implementation, and of this project only.
    modules: tuple[str, ...] = ()
    own_modules: tuple[str, ...] = ()
    #: Modules of this project that tests load themselves, beside those of either implementation.
    test_modules: tuple[str, ...] = ()
    #: Cargo workspaces, as folders of the checkout, whose programs the tests call.
    cargo: tuple[str, ...] = ()
    #: For make in-tree-check, see `in_tree`: programs that run on each form, and what is added
    #: to the kernel's command line.
    in_tree_programs: tuple[str, ...] = ()
    in_tree_parameters: tuple[str, ...] = ()
    runs: tuple[Run, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def in_tree(self) -> Path:
        """``FORM.config`` for each form of the sources inside a kernel tree, and ``guest.sh``."""
        return self.folder / "in-tree"

    @property
    def guest_setup(self) -> Path | None:
        """What a guest sources after the modules have been loaded."""
        path = self.folder / "guest-init.sh"
        return path if path.is_file() else None


_IMPLEMENTATIONS = {"rust": ("rust",), "c": ("c",), "both": ("rust", "c")}

#: What may stand in the line ``# lab: NAME=VALUE ...`` among the first of a program.
_HEADER: dict[str, Callable[[str], dict[str, Any]]] = {
    "timeout": lambda value: {"timeout": float(value)},
    "per-second": lambda value: {"per_second": float(value)},
    "tools": lambda value: {"tools": {"yes": True, "no": False}[value]},
    "flavour": lambda value: {"flavour": value},
    "impl": lambda value: {"implementations": _IMPLEMENTATIONS[value]},
    "host": lambda value: {"host": value},
}

#: Lines of a program in which the header is looked for.
_HEADER_LINES = 10


def read_run(program: Path) -> Run:
    """What a program says of how it is run; LabError for what the lab does not know."""
    fields: dict[str, Any] = {}
    for line in program.read_text(encoding="utf-8").splitlines()[:_HEADER_LINES]:
        if line.startswith("# lab: "):
            for word in line.split()[2:]:
                name, _, value = word.partition("=")
                try:
                    fields.update(_HEADER[name](value))
                except (KeyError, ValueError):
                    raise LabError(f"{program}: '{word}' is nothing that the lab knows") from None
    name = program.stem.removeprefix("stress_").replace("_", "-")
    return Run(name, program, **fields)


def _runs(folder: Path, more: list[str]) -> tuple[Run, ...]:
    """The executables named ``stress_NAME``, and `more`."""
    found = [path for path in sorted(folder.glob("stress_*")) if os.access(path, os.X_OK)]
    return tuple(read_run(path) for path in [*found, *((folder / name).resolve() for name in more)])


def read(folder: Path) -> Subsystem:
    """The subsystem in a folder; LabError for what it must not say."""
    path = folder / "lab.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        runs = _runs(folder, table.pop("programs", []))
        lists = {name.replace("-", "_"): tuple(value) for name, value in table.items()}
        return Subsystem(folder, runs=runs, **lists)
    except (tomllib.TOMLDecodeError, TypeError, OSError) as error:
        raise LabError(f"{path}: {error}") from error


@cache
def everything(selftests: Path = SELFTESTS) -> tuple[Subsystem, ...]:
    """All subsystems, by name."""
    files_ = [*selftests.glob("*/Makefile"), *selftests.glob("*/lab.toml")]
    folders = sorted({path.parent for path in files_})
    return tuple(read(folder) for folder in folders)


def of(path: Path) -> tuple[Subsystem, ...]:
    """The subsystem that a file belongs to; all of them for a file elsewhere."""
    found = tuple(each for each in everything() if path.resolve().is_relative_to(each.folder))
    return found or everything()


def needs_build(implementation: str, subsystems: Iterable[Subsystem]) -> bool:
    """Whether guests of these with the modules of `implementation` need any of this project's."""
    return implementation == "rust" or any(each.test_modules for each in subsystems)


@cache
def own_symbols() -> frozenset[str]:
    """Symbols that this project's own Kconfig files define, which a stock kernel does not have."""
    return frozenset(
        f"CONFIG_{name}"
        for path in files.project_files()
        if path.name.startswith("Kconfig")
        for name in _SYMBOL.findall(path.read_text(encoding="utf-8"))
    )


def configs() -> list[Path]:
    """The kernel configuration fragments of all subsystems."""
    return [path for each in everything() if (path := each.folder / "config").is_file()]

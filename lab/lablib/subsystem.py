# SPDX-License-Identifier: GPL-2.0
"""What each subsystem brings along: the folders of selftests/, and what stands in their lab.toml.

A folder with a ``Makefile`` or a ``lab.toml`` is a subsystem. The lab knows nothing of it beyond
that: Documentation/lab.rst says which files it may have.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from . import files
from .errors import LabError
from .paths import CHECKOUT

SELFTESTS = CHECKOUT / "selftests"

#: A symbol's definition in Kconfig.
_SYMBOL = re.compile(r"^(?:menu)?config (\w+)$", re.M)


@dataclass(frozen=True)
class Option:
    """An option of a long run that the lab knows: ``--NAME VALUE``."""

    name: str
    #: Given if the caller gives none; None leaves it to the program.
    default: Any = None
    #: The same on the debug kernel, where all takes longer.
    debug: Any = None
    #: Seconds that each of it may take, besides the run's limit.
    cost: float = 0.0


@dataclass(frozen=True)
class Run:
    """A long run: a program beside the selftests, or one that drives several guests from the host."""

    name: str
    #: The program in the guest.
    program: Path
    about: str = ""
    #: The program on the host that runs the other in guests; None for a single one.
    host: Path | None = None
    #: Seconds until a guest counts as hung; the debug kernel gets more.
    limit: float = 3600.0
    #: Unless FLAVOUR says which.
    flavour: str = "fast"
    #: Unless IMPL says which; each has a guest of its own.
    implementations: tuple[str, ...] = ("rust",)
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Subsystem:
    """One folder of the selftests."""

    folder: Path
    #: Debian packages that the tests need.
    packages: tuple[str, ...] = ()
    #: Modules that a guest loads, by name: of either implementation, and of this project only.
    modules: tuple[str, ...] = ()
    own_modules: tuple[str, ...] = ()
    runs: tuple[Run, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def guest_setup(self) -> Path | None:
        """What a guest sources after the modules have been loaded."""
        path = self.folder / "guest-init.sh"
        return path if path.is_file() else None


def _options(table: dict[str, Any]) -> tuple[Option, ...]:
    return tuple(Option(name, **values) for name, values in table.items())


def _runs(folder: Path, table: dict[str, Any]) -> tuple[Run, ...]:
    """Those that the table describes, and all other programs named ``stress_NAME``."""
    found = {}
    for name, values in table.items():
        values = dict(values)
        program = folder / values.pop("program", _program(folder, name))
        host = folder / values.pop("host") if "host" in values else None
        options = _options(values.pop("options", {}))
        implementations = tuple(values.pop("implementations", Run.implementations))
        found[name] = Run(name, program, host=host, options=options, implementations=implementations, **values)
        for path in (program, host):
            if path and not path.is_file():
                raise LabError(f"{folder}/lab.toml: {name}: there is no {path}")
    taken = {run.program for run in found.values()}
    for path in sorted(folder.glob("stress_*")):
        if path not in taken and path.is_file() and path.stat().st_mode & 0o111:
            name = path.stem.removeprefix("stress_").replace("_", "-")
            found.setdefault(name, Run(name, path))
    return tuple(found.values())


def _program(folder: Path, name: str) -> str:
    stem = f"stress_{name.replace('-', '_')}"
    return next((path.name for path in sorted(folder.glob(f"{stem}.*"))), stem)


def read(folder: Path) -> Subsystem:
    """The subsystem in a folder; LabError for what it must not say."""
    path = folder / "lab.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        runs = _runs(folder, table.pop("run", {}))
        lists = {name.replace("-", "_"): tuple(value) for name, value in table.items()}
        return Subsystem(folder, runs=runs, **lists)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise LabError(f"{path}: {error}") from error


@cache
def everything(selftests: Path = SELFTESTS) -> tuple[Subsystem, ...]:
    """All subsystems, by name."""
    folders = sorted({path.parent for name in ("Makefile", "lab.toml") for path in selftests.glob(f"*/{name}")})
    return tuple(read(folder) for folder in folders)


def of(path: Path) -> tuple[Subsystem, ...]:
    """The subsystem that a file belongs to; all of them for a file elsewhere."""
    found = tuple(each for each in everything() if path.resolve().is_relative_to(each.folder))
    return found or everything()


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

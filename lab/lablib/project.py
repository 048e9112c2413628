# SPDX-License-Identifier: GPL-2.0
"""Builds this project's modules outside the checkout and lays them out for loading."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import kconfig
from .base import CHECKOUT, Cache, LabError, key, say
from .kernel import Kernel, make_command, module_depends
from .run import locked, logged
from .tools import build_environment

#: Left in an output folder whose build gave warnings: make would not compile
#: the files again, and the warnings would be gone the second time.
_TAINTED = ".lab-warnings"

_WARNING = re.compile(r"\bwarning\b(?:\[[^\]]*\])?:", re.IGNORECASE)

#: make(1) and Kbuild complaints about the surroundings, not about this project's code.
_IGNORED = re.compile(
    r"^make(?:\[\d+\])?: warning: (?:jobserver|Clock skew|  ?File )|"
    r"^warning: the compiler differs from the one used to build the kernel|"
    # rustc's count of the warnings above it
    r"^warning: \d+ warnings? emitted"
)


#: A module of KUnit suites, which runs them when it is loaded.
_KUNIT = re.compile(r"_kunit$")


def warnings(lines: list[str]) -> list[str]:
    """The lines of a build's output that are warnings of compiler, objtool or modpost.

    rustc says on the next line where it is; that is joined to the warning.
    """
    found = []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if _WARNING.search(line) and not _IGNORED.search(line):
            place = after.strip()
            found.append(f"{line} {place}" if place.startswith("--> ") else line)
    return found


def load_order(depends: dict[str, list[str]]) -> list[str]:
    """Modules sorted so that each comes after those that it needs, else by name.

    `depends` maps a module to all that it needs; names that are no key of it
    (stock modules) are ignored. Raises LabError for a cycle.
    """
    order: list[str] = []
    open_names: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in open_names:
            raise LabError(f"modules need each other: {' -> '.join([*open_names, name])}")
        open_names.append(name)
        for needed in sorted(depends[name]):
            if needed in depends:
                visit(needed)
        open_names.pop()
        order.append(name)

    for name in sorted(depends):
        visit(name)
    return order


def module_name(path: Path) -> str:
    """The kernel's name of a module, which has underscores where its file may have dashes."""
    return path.stem.replace("-", "_")


@dataclass(frozen=True)
class LoadPlan:
    """What a guest does to have modules, worked out here: it is slow there."""

    #: This project's modules, and the stock ones in whose place they stand.
    hide: dict[Path, Path]
    #: What to load, in this order.
    load: list[Path]


def load_plan(modules: Path, own: Path | None, names: Iterable[str]) -> LoadPlan:
    """How to load the modules `names` and what they need.

    `modules` is the folder of the stock modules; what the folder `own` has takes their place, under
    any name, so that a module that is missing there is no longer found at all.
    """
    stock: dict[str, Path] = {}
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        file, _, needed = line.partition(":")
        path = modules / file
        stock[module_name(path)] = path
        needs[module_name(path)] = [module_name(Path(word)) for word in needed.split()]
    builtin = (modules / "modules.builtin").read_text(encoding="utf-8").splitlines()
    ours: dict[str, Path] = {}
    if own:
        files = (own / "load.order").read_text(encoding="utf-8").split()
        ours = {module_name(own / file): own / file for file in files}
        needs |= {name: module_depends(path) for name, path in ours.items()}
    there = {**stock, **ours}
    wanted: dict[str, list[str]] = {}

    def want(name: str) -> None:
        if name in there and name not in wanted:
            wanted[name] = needs[name]
            for needed in needs[name]:
                want(needed)

    for name in names:
        if name not in there and not any(module_name(Path(file)) == name for file in builtin):
            raise LabError(f"there is no module {name}, which guests load")
        want(name)
    hide = {path: stock[name] for name, path in ours.items() if name in stock}
    return LoadPlan(hide, [there[name] for name in load_order(wanted)])


def output_folder(cache: Cache, kernel: Kernel, purpose: str, checkout: Path = CHECKOUT) -> Path:
    """Where the build of this checkout against `kernel` goes; two checkouts do not share one."""
    return cache.root / purpose / f"{kernel.key}-{key(str(checkout))}"


def build(cache: Cache, kernel: Kernel, purpose: str = "modules", clippy: bool = False) -> Path:
    """Builds the modules of this checkout; returns the folder with Kbuild's output.

    Raises LabError for errors and for warnings.
    """
    if not (CHECKOUT / "Kbuild").is_file():
        raise LabError(f"{CHECKOUT} has no Kbuild file, so there is nothing to build")
    folder = output_folder(cache, kernel, purpose)
    if (folder / _TAINTED).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    arguments = [
        f"M={CHECKOUT}", f"MO={folder}", *kconfig.own_settings(), *(["CLIPPY=1"] if clippy else []),
        "modules",
    ]  # fmt: skip
    what = f"{'clippy on' if clippy else 'building'} the modules ({kernel.flavour})"
    say(what)
    log = cache.folder("log") / f"{purpose}-{folder.name}.log"
    # Set first, so that an interrupted build counts as tainted.
    (folder / _TAINTED).touch()
    try:
        logged(
            what,
            make_command(kernel.source, kernel.build, *arguments),
            log,
            build_environment(cache),
            on_line=lines.append,
        )
    finally:
        found = warnings(lines)
        if not found:
            (folder / _TAINTED).unlink()
    if found:
        raise LabError(
            f"{what} gave {len(found)} warnings, which count as errors (all of it in {log}):\n    "
            + "\n    ".join(found[:20])
        )
    return folder


def ensure(cache: Cache, kernel: Kernel) -> Path:
    """Folder with this project's .ko files and ``load.order``; built as far as stale."""
    with locked(cache, f"modules-{output_folder(cache, kernel, 'modules').name}"):
        built = sorted(build(cache, kernel).rglob("*.ko"))
        if not built:
            raise LabError(f"the build left no .ko file in {output_folder(cache, kernel, 'modules')}")
        target = output_folder(cache, kernel, "rust-modules")
        target.mkdir(parents=True, exist_ok=True)
        for stale in set(target.glob("*.ko")) - {target / path.name for path in built}:
            stale.unlink()
        for path in built:
            _replace(path, target / path.name)
        files = {module_name(path): path for path in built}
        order = load_order({
            name: module_depends(path) for name, path in files.items() if not _KUNIT.search(name)
        })
        text = "".join(f"{files[name].name}\n" for name in order)
        (target / "load.order").write_text(text, encoding="utf-8")
    return target


def _replace(source: Path, target: Path) -> None:
    """Copies `source` over `target` in one step: a guest may be reading it."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    partial.rename(target)


def folders_of_checkout(cache: Cache, checkout: Path = CHECKOUT) -> list[Path]:
    """All folders of the cache that hold something built from `checkout`."""
    suffix = f"-{key(str(checkout))}"
    return sorted(
        path
        for purpose in ("modules", "clippy", "rust-modules", "rules")
        for path in (cache.root / purpose).glob(f"*{suffix}")
    )

# SPDX-License-Identifier: GPL-2.0
"""The in-tree form: puts this project's sources into a kernel tree.

Files are copied; the tree's own files get a few lines. Everything is checked
before the first write, and what is there already is not written again, so that
make in the tree builds only what has changed.
"""

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import files
from .errors import LabError
from .paths import CHECKOUT
from .sources import kernel_version

#: The kernel series whose interfaces the sources use.
SERIES = "7.3"

#: Folders of the checkout, and where their files go in a kernel tree.
_FOLDERS = {
    "drivers/target": "drivers/target",
    "include/target": "include/target",
    "rust/ext": "rust/ext",
    "scripts/kbuild": "scripts/kbuild",
    "Documentation/target": "Documentation/target",
    "Documentation/ABI": "Documentation/ABI",
    "Documentation/netlink": "Documentation/netlink",
    "selftests/target": "tools/testing/selftests/target",
}

#: Kbuild prefers it to the Makefile that the tree has.
_EXTERNAL_ONLY = {"drivers/target/Kbuild", "scripts/kbuild/tests/Kbuild"}

#: Folders that only this project has, and the kinds of file that it has there.
_OWN_FOLDERS = (
    "drivers/target/lio", "drivers/target/tcmu", "drivers/target/tmr",
    "tools/testing/selftests/target",
)  # fmt: skip
_OWN_SUFFIXES = {".rs", ".c", ".h", ".py", ".sh"}
_GENERATED = re.compile(r"\.mod\.c$|^bindings_generated\.rs$")

#: A file by which a tree with Rust support is known, beyond the version.
_RUST_SUPPORT = ("rust/bindings/bindings_helper.h", "rust/bindgen_parameters", "rust/kernel/lib.rs")


@dataclass(frozen=True)
class Edit:
    """A change of one of the tree's own files.

    It has been made if the file holds `made`. Otherwise each text on the left
    of `replacements`, which must be in the file exactly once, is replaced.
    """

    path: str
    made: str
    replacements: tuple[tuple[str, str], ...]

    def apply(self, text: str) -> str:
        """`text` with the change; LabError if the place for it is not there."""
        if self.made in text:
            return text
        for old, new in self.replacements:
            if text.count(old) != 1:
                raise LabError(
                    f"{self.path} has the line '{old.strip()}' {text.count(old)} times instead of "
                    "once: this is not the file that the sources were made for"
                )
            text = text.replace(old, new)
        return text


@dataclass
class Changes:
    """What `put` did, as paths in the tree."""

    written: list[str] = field(default_factory=list)
    #: Source files in this project's own folders that it no longer has.
    stale: list[str] = field(default_factory=list)


def _after(path: str, anchor: str, line: str) -> Edit:
    return Edit(path, f"\n{line}\n", ((f"\n{anchor}\n", f"\n{anchor}\n{line}\n"),))


def edits(documents: list[str]) -> list[Edit]:
    """The changes of the tree's own files; `documents` are names for the table of contents."""
    core = "obj-$(CONFIG_TARGET_CORE)\t+= target_core_mod.o\n"
    loopback = 'source "drivers/target/loopback/Kconfig"\n'
    rust = "".join(f'source "drivers/target/{name}/Kconfig"\n' for name in ("tmr", "tcmu", "tcmu/kunit"))
    includes = "".join(
        f"include $(src)/{name}Makefile.rust\n" for name in ("tmr/", "tcmu/", "tcmu/kunit/", "")
    )
    return [
        Edit(
            "drivers/target/Makefile",
            "include $(src)/Makefile.rust\n",
            (
                ("\t\t\t\t   target_core_tmr.o \\\n", ""),
                (
                    core,
                    "target_core_mod-$(CONFIG_TARGET_CORE_TMR_C)\t+= target_core_tmr.o\n\n"
                    f"{includes}\n{core}",
                ),
            ),
        ),
        Edit("drivers/target/Kconfig", rust, ((loopback, rust + loopback),)),
        _after("tools/testing/selftests/Makefile", "TARGETS += sysctl", "TARGETS += target"),
        *(
            _after("Documentation/target/index.rst", "    tcmu-design", f"    {name}")
            for name in sorted(documents, reverse=True)
        ),
    ]


def sources() -> dict[str, Path]:
    """The project's files for a kernel tree, by their path there."""
    found = {}
    for path in files.project_files():
        name = path.relative_to(CHECKOUT).as_posix()
        for folder, place in _FOLDERS.items():
            if name.startswith(f"{folder}/") and name not in _EXTERNAL_ONLY:
                found[place + name.removeprefix(folder)] = path
    return found


def check_tree(tree: Path) -> None:
    """LabError unless `tree` is a kernel source tree that can take the sources."""
    version = kernel_version(tree)
    if not re.match(re.escape(SERIES) + r"(\.|-|$)", version):
        raise LabError(f"'{tree}' is Linux {version}; these sources are for {SERIES}")
    for name in _RUST_SUPPORT:
        if not (tree / name).is_file():
            raise LabError(f"'{tree}' has no {name}: its Rust support is not complete")


def put(tree: Path, wanted: dict[str, Path] | None = None) -> Changes:
    """Puts the sources (all, unless `wanted` says which) into the kernel tree `tree`.

    Raises LabError, with nothing written, if the tree cannot take them.
    """
    check_tree(tree)
    wanted = sources() if wanted is None else wanted
    contents = _edited(tree, wanted)
    first_time = (tree / "drivers/target/Makefile").read_bytes() != contents["drivers/target/Makefile"]
    for name, path in wanted.items():
        data = path.read_bytes()
        there = tree / name
        if first_time and there.exists() and there.read_bytes() != data:
            raise LabError(f"'{there}' exists and is not this project's; it would be overwritten")
        contents[name] = data
    changes = Changes(stale=_stale(tree, wanted))
    for name, data in contents.items():
        mode = (wanted.get(name) or tree / name).stat().st_mode & 0o777
        if _write(tree / name, data, mode):
            changes.written.append(name)
    return changes


def _edited(tree: Path, wanted: dict[str, Path]) -> dict[str, bytes]:
    documents = [
        Path(name).stem for name in wanted
        if name.startswith("Documentation/target/") and name.endswith(".rst")
    ]  # fmt: skip
    texts: dict[str, str] = {}
    for edit in edits(documents):
        if edit.path not in texts:
            try:
                texts[edit.path] = (tree / edit.path).read_text(encoding="utf-8")
            except OSError as error:
                raise LabError(f"cannot read '{tree / edit.path}': {error.strerror}") from error
        texts[edit.path] = edit.apply(texts[edit.path])
    return {path: text.encode() for path, text in texts.items()}


def _stale(tree: Path, wanted: dict[str, Path]) -> list[str]:
    there = (
        path
        for folder in _OWN_FOLDERS
        for path in (tree / folder).rglob("*")
        if path.suffix in _OWN_SUFFIXES and not _GENERATED.search(path.name)
    )
    names = (path.relative_to(tree).as_posix() for path in there)
    return sorted(name for name in names if name not in wanted)


def _write(path: Path, data: bytes, mode: int) -> bool:
    """Puts `data` into `path` unless it is there; a hard link elsewhere keeps the old contents."""
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".lio-rust-")
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(data)
            os.chmod(name, mode)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError as error:
        raise LabError(f"cannot write '{path}': {error.strerror}") from error
    return True

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The in-tree form: for each subsystem a series of patches against a kernel tree.

    series.py patches KDIR --output FOLDER [--check]
    series.py in-tree KDIR [--mails FOLDER]

"patches" writes what git format-patch does for the commits that the files *.toml here
describe, one folder a series. Each applies to a tree that has none of the others.
"in-tree" applies the mails of all of them to the tree KDIR, which need not be a git
repository. It remembers what it did in a file there, so that a second time brings the
tree up to date, and writes only files that change.

Everything is done in a small repository of the files that the series touch: each is a
branch, and the tree gets what merging them gives. It is written to at the very end,
when all patches have been found to apply.
"""

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import ifdef

_HERE = Path(__file__).resolve().parent
CHECKOUT = _HERE.parent.parent

#: The difference that was applied to a tree, kept there.
_APPLIED = ".rust-subsystems.diff"

#: Files by which a tree with Rust support is known.
_RUST_SUPPORT = ("rust/bindings/bindings_helper.h", "rust/bindgen_parameters", "rust/kernel/lib.rs")

#: What checkpatch is not asked about: whoever sends the series says who maintains it; a
#: file whose only purpose is to export what Rust defines has no definition above; and
#: English has two spellings of some words.
_NOT_CHECKED = "FILE_PATH_CHANGES,EXPORT_SYMBOL,TYPO_SPELLING"


class SeriesError(Exception):
    """What is wrong, for people."""


@dataclass(frozen=True)
class Patch:
    """One commit of a series, as its .toml describes it."""

    subject: str
    message: str
    #: Patterns of files of this checkout: a folder, a file, or with *.
    files: tuple[str, ...] = ()
    #: Differences to files of the tree, in the folder of the .toml.
    edits: tuple[str, ...] = ()
    #: Semantic patches, in the folder of the .toml, by the C file of the tree.
    cocci: dict[str, str] = field(default_factory=dict)
    #: The same by the symbol without which the C file stays as it is.
    cocci_if: dict[str, dict[str, str]] = field(default_factory=dict)
    #: A table of contents of the tree that the documents among the files are appended to.
    toctree: str = ""


@dataclass(frozen=True)
class Series:
    """The whole of a .toml, with what it includes, and the folder that it is in."""

    folder: Path
    #: The name of the file, which is that of the subsystem.
    name: str
    #: The kernel series that it is for, such as "7.3".
    version: str
    title: str
    cover: str
    #: Where the files of a folder go, when not to the same place.
    places: dict[str, str]
    #: Files of the folders above that are in no patch.
    outside: tuple[str, ...]
    patches: tuple[Patch, ...]

    @classmethod
    def load(cls, path: Path) -> "Series":
        """Reads the description of a series."""
        data = _read(path)
        outside: list[str] = data.get("outside", [])
        places: dict[str, str] = data.get("places", {})
        patches = []
        for entry in data["patch"]:
            if "include" not in entry:
                patches.append(_patch(entry))
                continue
            shared = _read(path.with_name(entry["include"]))
            outside = [*outside, *shared.get("outside", [])]
            places = {**shared.get("places", {}), **places}
            patches += map(_patch, shared["patch"])
        return cls(
            path.parent, path.stem, data["version"], data["title"], _wrapped(data["cover"]),
            places, tuple(outside), tuple(patches),
        )  # fmt: skip

    def place(self, name: str) -> str:
        """Where a file of the checkout goes in a kernel tree; the longest folder counts."""
        for folder, place in sorted(self.places.items(), key=lambda each: -len(each[0])):
            if name.startswith(f"{folder}/"):
                return place + name.removeprefix(folder)
        return name

    def divide(self, names: Iterable[str]) -> dict[int, list[str]]:
        """The files of each patch, by its number. Of several patterns the longest counts."""
        divided: dict[int, list[str]] = {number: [] for number in range(len(self.patches))}
        for name in sorted(names):
            found = [
                (len(pattern), number)
                for number, patterns in [
                    *((number, patch.files) for number, patch in enumerate(self.patches)),
                    (-1, self.outside),
                ]
                for pattern in patterns
                if covers(pattern, name)
            ]
            if found and (number := max(found)[1]) >= 0:
                divided[number].append(name)
        for number, patch in enumerate(self.patches):
            for pattern in patch.files:
                if not any(covers(pattern, name) for name in names):
                    raise SeriesError(f"'{patch.subject}': there is no file '{pattern}'")
        return divided

    def edited(self) -> set[str]:
        """Files of the tree that the patches change."""
        names = set()
        for patch in self.patches:
            names |= {*patch.cocci, *([patch.toctree] if patch.toctree else [])}
            names |= {name for files in patch.cocci_if.values() for name in files}
            for edit in patch.edits:
                text = (self.folder / edit).read_text(encoding="utf-8")
                names |= set(re.findall(r"^--- a/(\S+)", text, re.M))
        return names


def load_all(folder: Path) -> list[Series]:
    """Every series of a folder; what only has parts of others has no title."""
    found = [path for path in sorted(folder.glob("*.toml")) if "title" in _read(path)]
    return [Series.load(path) for path in found]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:
            return tomllib.load(handle)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SeriesError(f"{path}: {error}") from error


def _patch(entry: dict[str, Any]) -> Patch:
    return Patch(
        subject=entry["subject"], message=_wrapped(entry["message"]),
        files=tuple(entry.get("files", ())), edits=tuple(entry.get("edits", ())),
        cocci=entry.get("cocci", {}), cocci_if=entry.get("cocci-if", {}),
        toctree=entry.get("toctree", ""),
    )  # fmt: skip


def _wrapped(text: str) -> str:
    """The paragraphs of a message in lines as git log and mails have them."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        textwrap.fill(" ".join(words.split()), 72, break_long_words=False, break_on_hyphens=False)
        for words in paragraphs
    )


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern is the file's name, a folder above it, or matches it."""
    return name == pattern or name.startswith(f"{pattern}/") or fnmatch.fnmatchcase(name, pattern)


def _run(command: list[str], folder: Path, **environment: str) -> str:
    # A hook or "git rebase --exec" has variables that name another repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        command, cwd=folder, env={**clean, **environment}, check=False, text=True,
        stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        raise SeriesError((done.stderr or done.stdout).strip() or f"{command[0]} failed")
    return done.stdout


def _is_there(path: Path) -> bool:
    """Whether there is a file, or a link to anything: what git keeps."""
    return path.is_symlink() or path.is_file()


class Checkout:
    """This project's files, and who commits here."""

    def __init__(self, folder: Path = CHECKOUT) -> None:
        self.folder = folder

    def files(self) -> list[str]:
        """Names of all that git tracks or would track."""
        listing = _run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], self.folder
        )
        names = sorted({name for name in listing.split("\0") if name})
        return [name for name in names if _is_there(self.folder / name)]

    def identity(self) -> dict[str, str]:
        """Environment of git: the user of this checkout, and the date of its last commit."""
        try:
            name = _run(["git", "config", "user.name"], self.folder).strip()
            mail = _run(["git", "config", "user.email"], self.folder).strip()
        except SeriesError:
            name = mail = ""
        if not name or not mail:
            raise SeriesError("git does not know you: set user.name and user.email")
        date = _run(["git", "log", "-1", "--format=%aI"], self.folder).strip()
        return {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))
        }


def kernel_version(tree: Path) -> str:
    """The version in a kernel tree's Makefile; SeriesError if it is none that can be used."""
    try:
        text = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SeriesError(f"'{tree}' is no kernel source: it has no Makefile") from error
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) =[ \t]*(.*)$", text, re.M))
    if "VERSION" not in found or "PATCHLEVEL" not in found:
        raise SeriesError(f"'{tree}' is no kernel source (the output folder of a build is none)")
    numbers = [found[key] for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if found.get(key)]
    return ".".join(numbers) + found.get("EXTRAVERSION", "")


class Repository:
    """A git repository of the files of a kernel tree that the series touch.

    Its first commit is the tree without any series, also when the tree has them.
    """

    def __init__(self, folder: Path, every: list[Series], tree: Path, checkout: Checkout) -> None:
        self.folder = folder
        self.every = every
        self.tree = tree
        self.checkout = checkout
        self.version = kernel_version(tree)
        for series in every:
            if not re.match(re.escape(series.version) + r"(\.|-|$)", self.version):
                raise SeriesError(
                    f"'{tree}' is Linux {self.version}; these sources are for {series.version}"
                )
        for name in _RUST_SUPPORT:
            if not (tree / name).is_file():
                raise SeriesError(f"'{tree}' has no {name}: its Rust support is not complete")
        self._environment = checkout.identity()
        listed = checkout.files()
        self.divided = {series.name: series.divide(listed) for series in every}
        self.git("init", "--quiet", "--initial-branch=base")
        #: Files that the series have in the tree already.
        self.applied = self._base()

    def git(self, *arguments: str) -> str:
        """Runs git in the repository."""
        quiet = ("core.hooksPath=/dev/null", "commit.gpgSign=false", "core.autocrlf=false",
                 "gc.auto=0", "core.excludesFile=/dev/null", "core.fileMode=true",
                 "merge.renames=false")  # fmt: skip
        options = [word for setting in quiet for word in ("-c", setting)]
        return _run(["git", *options, *arguments], self.folder, **self._environment)

    def _commit(self, message: str) -> None:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def _base(self) -> set[str]:
        applied = self.tree / _APPLIED
        before: set[str] = set()
        if applied.is_file():
            text = applied.read_text(encoding="utf-8", errors="surrogateescape")
            before = set(re.findall(r"^diff --git a/(\S+) ", text, re.M))
        edited = {name for series in self.every for name in series.edited()}
        for name in sorted(before | edited):
            if _is_there(self.tree / name):
                self._copy(self.tree / name, name)
            elif name not in before:
                raise SeriesError(f"'{self.tree}' has no {name}, which the series changes")
        if before:
            try:
                self.git("apply", "--reverse", str(applied))
            except SeriesError as error:
                raise SeriesError(
                    f"'{self.tree}' has an earlier version of the series, but not as it was "
                    f"written there ({_APPLIED}): {error}"
                ) from error
        self._commit(f"Linux {self.version}")
        ours = {
            series.place(name)
            for series in self.every
            for names in self.divided[series.name].values() for name in names
        }  # fmt: skip
        for name in sorted(ours - before):
            if _is_there(self.tree / name):
                raise SeriesError(
                    f"'{self.tree / name}' exists and is not this project's; "
                    "it would be overwritten"
                )
        return before

    def _copy(self, source: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
            return
        target.write_bytes(source.read_bytes())
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)

    def commit_all(self) -> None:
        """One commit for each patch, on a branch for each series."""
        for series in self.every:
            self.git("checkout", "--quiet", "-b", _branch(series), "base")
            for number, patch in enumerate(series.patches):
                try:
                    self._make(series, patch, self.divided[series.name][number])
                except SeriesError as error:
                    raise SeriesError(
                        f"'{patch.subject}' on Linux {self.version}: {error}"
                    ) from error
                if not self.git("status", "--porcelain", "--ignored").strip():
                    raise SeriesError(f"'{patch.subject}' changes nothing")
                self._commit(f"{patch.subject}\n\n{patch.message}")

    def _make(self, series: Series, patch: Patch, names: list[str]) -> None:
        for edit in patch.edits:
            path = series.folder / edit
            try:
                self.git("apply", str(path))
            except SeriesError as error:
                raise SeriesError(f"{path.name} does not apply: {error}") from error
        for name, cocci in patch.cocci.items():
            self._spatch(name, series.folder / cocci, self.folder / name)
        for symbol, files in patch.cocci_if.items():
            for name, cocci in files.items():
                self._spatch_if(symbol, name, series.folder / cocci)
        for name in names:
            self._copy(self.checkout.folder / name, series.place(name))
        if patch.toctree:
            self._list_documents(patch.toctree, [series.place(name) for name in names])

    def _list_documents(self, toctree: str, places: list[str]) -> None:
        """Appends the documents among `places` to a table of contents, indented as it is."""
        path = self.folder / toctree
        text = path.read_text(encoding="utf-8")
        indent = re.findall(r"^([ \t]*)\S", text, re.M)[-1]
        folder = PurePosixPath(toctree).parent
        for place in places:
            if place.endswith(".rst"):
                text += f"{indent}{os.path.relpath(place.removesuffix('.rst'), folder)}\n"
        path.write_text(text, encoding="utf-8")

    def _spatch(self, name: str, cocci: Path, output: Path) -> None:
        _run(
            [sys.executable, str(CHECKOUT / "scripts/kbuild/spatch.py"), "--name", name,
             "--release", self.version, "--output", str(output), str(cocci),
             str(self.folder / name)],
            self.folder,
        )  # fmt: skip

    def _spatch_if(self, symbol: str, name: str, cocci: Path) -> None:
        path = self.folder / name
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder) / path.name
            self._spatch(name, cocci, changed)
            try:
                text = ifdef.merge(symbol, path, changed)
            except ifdef.IfdefError as error:
                raise SeriesError(f"{cocci.name} cannot depend on {symbol}: {error}") from error
        path.write_text(text, encoding="utf-8")

    def mails(self, series: Series, output: Path) -> list[Path]:
        """Writes a series as mails into the folder `output`; the first is the cover letter."""
        output.mkdir(parents=True, exist_ok=True)
        for stale in output.glob("[0-9]*.patch"):
            stale.unlink()
        self.git(
            "format-patch", "--quiet", "--cover-letter", "--no-signature", "--no-renames",
            "--output-directory", str(output.resolve()), f"base..{_branch(series)}",
        )  # fmt: skip
        found = sorted(output.glob("[0-9]*.patch"))
        text = found[0].read_text(encoding="utf-8")
        for placeholder, value in (
            ("*** SUBJECT HERE ***", series.title), ("*** BLURB HERE ***", series.cover),
        ):  # fmt: skip
            text = text.replace(placeholder, value)
        found[0].write_text(text, encoding="utf-8")
        return found

    def all_mails(self, output: Path) -> dict[str, list[Path]]:
        """Writes every series, into a folder with its name."""
        if output.is_dir():
            for stale in output.glob("*/[0-9]*.patch"):
                stale.unlink()
        return {series.name: self.mails(series, output / series.name) for series in self.every}

    def apply_mails(self, mails: dict[str, list[Path]]) -> None:
        """Applies the mails of each series to the tree as it was, and merges what that gives.

        Sees that the outcome of each is what the commits made.
        """
        for series in self.every:
            self.git("checkout", "--quiet", "-b", f"{_branch(series)}-mails", "base")
            self.git("am", "--quiet", *(str(path.resolve()) for path in mails[series.name][1:]))
            if self.git("diff", "--name-only", _branch(series), "HEAD").strip():
                raise SeriesError(f"the mails of '{series.name}' do not make what the commits do")
        self.git("checkout", "--quiet", "-b", "applied", "base")
        for series in self.every:
            try:
                self.git("merge", "--quiet", "--no-edit", f"{_branch(series)}-mails")
            except SeriesError as error:
                raise SeriesError(
                    f"'{series.name}' does not go together with the series before it: {error}"
                ) from error

    def put(self) -> tuple[list[str], list[str]]:
        """Writes the outcome into the tree; returns what was written and what was removed.

        A file whose contents are right already keeps its time, so that make builds only
        what has changed; one that is a hard link is replaced, not written to.
        """
        changed = self.git("diff", "--name-only", "-z", "base", "applied").split("\0")
        difference = self.git("diff", "--binary", "--full-index", "--no-renames", "base", "applied")
        # Not by the file system: what was a folder may be a link to one now.
        there = set(self.git("ls-files", "-z").split("\0"))
        names = sorted({*changed, *self.applied} - {""})
        written, removed = [], []
        for name in names:
            target = self.tree / name
            if name not in there and _is_there(target):
                target.unlink()
                removed.append(name)
                self._remove_empty(target.parent)
        for name in there.intersection(names):
            source, target = self.folder / name, self.tree / name
            if source.is_symlink():
                new = _link(target, source.readlink())
            else:
                new = _replace(target, source.read_bytes(), source.stat().st_mode & 0o777)
            if new:
                written.append(name)
        written.sort()
        if written or removed or not (self.tree / _APPLIED).is_file():
            _replace(self.tree / _APPLIED, difference.encode("utf-8", "surrogateescape"), 0o644)
        return written, removed


    def _remove_empty(self, folder: Path) -> None:
        """Removes a folder that has nothing left, as git does, and those above it."""
        # Python's cache of what has gone.
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        while folder != self.tree and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def _branch(series: Series) -> str:
    return f"series-{series.name}"


def _link(path: Path, where: Path) -> bool:
    """Makes `path` a link to `where`, unless it is one."""
    if path.is_symlink() and path.readlink() == where:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.unlink(missing_ok=True)
        partial.symlink_to(where)
        partial.replace(path)
    except OSError as error:
        raise SeriesError(f"cannot write '{path}': {error.strerror}") from error
    return True


def _replace(path: Path, data: bytes, mode: int) -> bool:
    """Puts `data` into `path` in one step, unless it is there."""
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == data
    if same and path.stat().st_mode & 0o100 == mode & 0o100:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(data)
        partial.chmod(mode)
        partial.replace(path)
    except OSError as error:
        raise SeriesError(f"cannot write '{path}': {error.strerror}") from error
    return True


def checkpatch(tree: Path, mails: list[Path]) -> list[str]:
    """What the tree's own checkpatch says of the patches.

    It is not told that it has a tree: it would look for the maintainers of every file.
    """
    done = subprocess.run(
        ["perl", "scripts/checkpatch.pl", "--no-tree", "--strict", "--terse", "--no-summary",
         "--show-types", "--no-signoff", "--ignore", _NOT_CHECKED,
         *(str(path.resolve()) for path in mails)],
        cwd=tree, check=False, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line.strip()]


def different(mails: Iterable[Path]) -> list[Path]:
    """Of patches that several series have, only the first; no cover letters."""
    found: dict[str, Path] = {}
    for path in mails:
        _, _, patch = path.read_text(encoding="utf-8", errors="replace").partition("\n---\n")
        if not path.name.startswith("0000-"):
            found.setdefault(patch, path)
    return list(found.values())


def _patches(arguments: argparse.Namespace, repository: Repository) -> int:
    mails = repository.all_mails(arguments.output)
    for name, found in mails.items():
        print(f"{len(found) - 1} patches and a cover letter for Linux {repository.version} "
              f"are in {arguments.output / name}")  # fmt: skip
    if not arguments.check:
        return 0
    complaints = checkpatch(
        repository.tree, different(path for found in mails.values() for path in found)
    )
    print("".join(f"{line}\n" for line in complaints), end="")
    print(f"checkpatch --strict: {len(complaints)} complaints")
    return 1 if complaints else 0


def _in_tree(arguments: argparse.Namespace, repository: Repository) -> int:
    with tempfile.TemporaryDirectory() as folder:
        mails = repository.all_mails(arguments.mails or Path(folder))
        repository.apply_mails(mails)
        number = len(different(path for found in mails.values() for path in found))
    written, removed = repository.put()
    for name in written:
        print(f"written {name}")
    for name in removed:
        print(f"removed {name}")
    print(f"{number} patches: {len(written)} files written, {len(removed)} removed")
    return 0


def main(argv: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=Path, default=_HERE, help="folder of their descriptions")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    patches = commands.add_parser("patches", help="write the series as mails")
    patches.add_argument("tree", type=Path, metavar="KDIR", help="a kernel source tree")
    patches.add_argument("--output", type=Path, required=True, help="folder for the mails")
    patches.add_argument("--check", action="store_true", help="ask the tree's checkpatch")
    patches.set_defaults(run=_patches)
    in_tree = commands.add_parser("in-tree", help="apply all series to a tree")
    in_tree.add_argument("tree", type=Path, metavar="KDIR", help="a kernel source tree")
    in_tree.add_argument("--mails", type=Path, help="keep the mails in this folder")
    in_tree.set_defaults(run=_in_tree)
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="series-") as folder:
            every = load_all(arguments.series)
            repository = Repository(Path(folder), every, arguments.tree.resolve(), Checkout())
            repository.commit_all()
            return int(arguments.run(arguments, repository))
    except SeriesError as error:
        print(f"series: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The in-tree form, as a series of patches against a kernel tree.

    series.py patches KDIR --output FOLDER [--check]
    series.py in-tree KDIR [--mails FOLDER]

"patches" writes what git format-patch does for the commits that series.toml
describes. "in-tree" applies the mails of such a series to the tree KDIR, which
need not be a git repository. It remembers what it did in a file there, so that a
second time brings the tree up to date, and writes only files that change.

Everything is done in a small repository of the files that the series touches. The
tree is written to at the very end, when all patches have been found to apply.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

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
    """One commit of the series, as series.toml describes it."""

    subject: str
    message: str
    #: Patterns of files of this checkout: a folder, a file, or with *.
    files: tuple[str, ...] = ()
    #: Differences to files of the tree, in the folder of series.toml.
    edits: tuple[str, ...] = ()
    #: Semantic patches, in the folder of series.toml, by the C file of the tree.
    cocci: dict[str, str] = field(default_factory=dict)
    #: A table of contents of the tree that the documents beside it are appended to.
    toctree: str = ""


@dataclass(frozen=True)
class Series:
    """The whole of series.toml, and the folder that it is in."""

    folder: Path
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
        """Reads a series.toml."""
        with path.open("rb") as handle:
            data: dict[str, Any] = tomllib.load(handle)
        patches = tuple(
            Patch(
                subject=entry["subject"], message=_wrapped(entry["message"]),
                files=tuple(entry.get("files", ())), edits=tuple(entry.get("edits", ())),
                cocci=entry.get("cocci", {}), toctree=entry.get("toctree", ""),
            )
            for entry in data["patch"]
        )  # fmt: skip
        return cls(
            path.parent, data["version"], data["title"], _wrapped(data["cover"]),
            data.get("places", {}), tuple(data.get("outside", ())), patches,
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
            for edit in patch.edits:
                text = (self.folder / edit).read_text(encoding="utf-8")
                names |= set(re.findall(r"^--- a/(\S+)", text, re.M))
        return names


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
        return [name for name in names if (self.folder / name).is_file()]

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
    """A git repository of the files of a kernel tree that the series touches.

    Its first commit is the tree without the series, also when the tree has it.
    """

    def __init__(self, folder: Path, series: Series, tree: Path, checkout: Checkout) -> None:
        self.folder = folder
        self.series = series
        self.tree = tree
        self.checkout = checkout
        self.version = kernel_version(tree)
        if not re.match(re.escape(series.version) + r"(\.|-|$)", self.version):
            raise SeriesError(
                f"'{tree}' is Linux {self.version}; these sources are for {series.version}"
            )
        for name in _RUST_SUPPORT:
            if not (tree / name).is_file():
                raise SeriesError(f"'{tree}' has no {name}: its Rust support is not complete")
        self._environment = checkout.identity()
        self.divided = series.divide(checkout.files())
        self.git("init", "--quiet", "--initial-branch=base")
        #: Files that the series has in the tree already.
        self.applied = self._base()

    def git(self, *arguments: str) -> str:
        """Runs git in the repository."""
        quiet = ("core.hooksPath=/dev/null", "commit.gpgSign=false", "core.autocrlf=false",
                 "gc.auto=0", "core.excludesFile=/dev/null", "core.fileMode=true")  # fmt: skip
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
        for name in sorted(before | self.series.edited()):
            if (self.tree / name).is_file():
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
        for names in self.divided.values():
            for name in map(self.series.place, names):
                if name not in before and (self.tree / name).exists():
                    raise SeriesError(
                        f"'{self.tree / name}' exists and is not this project's; "
                        "it would be overwritten"
                    )
        return before

    def _copy(self, source: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)

    def commit_all(self) -> None:
        """One commit for each patch of the series, on a branch of their own."""
        self.git("checkout", "--quiet", "-b", "series")
        for number, patch in enumerate(self.series.patches):
            try:
                self._make(patch, self.divided[number])
            except SeriesError as error:
                raise SeriesError(f"'{patch.subject}' on Linux {self.version}: {error}") from error
            if not self.git("status", "--porcelain", "--ignored").strip():
                raise SeriesError(f"'{patch.subject}' changes nothing")
            self._commit(f"{patch.subject}\n\n{patch.message}")

    def _make(self, patch: Patch, names: list[str]) -> None:
        for edit in patch.edits:
            path = self.series.folder / edit
            try:
                self.git("apply", str(path))
            except SeriesError as error:
                raise SeriesError(f"{path.name} does not apply: {error}") from error
        for name, cocci in patch.cocci.items():
            self._spatch(name, self.series.folder / cocci)
        for name in names:
            self._copy(self.checkout.folder / name, self.series.place(name))
        if patch.toctree:
            folder = PurePosixPath(patch.toctree).parent
            places = (PurePosixPath(self.series.place(name)) for name in names)
            documents = [path.stem for path in places if path.parent == folder and path.suffix == ".rst"]
            with (self.folder / patch.toctree).open("a", encoding="utf-8") as handle:
                handle.writelines(f"    {name}\n" for name in documents)

    def _spatch(self, name: str, cocci: Path) -> None:
        path = self.folder / name
        _run(
            [sys.executable, str(CHECKOUT / "scripts/kbuild/spatch.py"), "--name", name,
             "--release", self.version, "--output", str(path), str(cocci), str(path)],
            self.folder,
        )  # fmt: skip

    def mails(self, output: Path) -> list[Path]:
        """Writes the series as mails into the folder `output`; the first is the cover letter."""
        output.mkdir(parents=True, exist_ok=True)
        for stale in output.glob("[0-9]*.patch"):
            stale.unlink()
        self.git(
            "format-patch", "--quiet", "--cover-letter", "--no-signature", "--no-renames",
            "--output-directory", str(output.resolve()), "base..series",
        )  # fmt: skip
        found = sorted(output.glob("[0-9]*.patch"))
        text = found[0].read_text(encoding="utf-8")
        for placeholder, value in (
            ("*** SUBJECT HERE ***", self.series.title), ("*** BLURB HERE ***", self.series.cover),
        ):  # fmt: skip
            text = text.replace(placeholder, value)
        found[0].write_text(text, encoding="utf-8")
        return found

    def apply_mails(self, mails: list[Path]) -> None:
        """Applies the mails to the tree as it was, and sees that the outcome is the series."""
        self.git("checkout", "--quiet", "-b", "applied", "base")
        self.git("am", "--quiet", *(str(path.resolve()) for path in mails[1:]))
        if self.git("diff", "--name-only", "series", "applied").strip():
            raise SeriesError("the mails do not make what the commits do")

    def put(self) -> tuple[list[str], list[str]]:
        """Writes the outcome into the tree; returns what was written and what was removed.

        A file whose contents are right already keeps its time, so that make builds only
        what has changed; one that is a hard link is replaced, not written to.
        """
        changed = self.git("diff", "--name-only", "-z", "base", "applied").split("\0")
        difference = self.git("diff", "--binary", "--full-index", "--no-renames", "base", "applied")
        written, removed = [], []
        for name in sorted({*changed, *self.applied} - {""}):
            source, target = self.folder / name, self.tree / name
            if source.is_file():
                if _replace(target, source.read_bytes(), source.stat().st_mode & 0o777):
                    written.append(name)
            elif target.is_file():
                target.unlink()
                removed.append(name)
        if written or removed or not (self.tree / _APPLIED).is_file():
            _replace(self.tree / _APPLIED, difference.encode("utf-8", "surrogateescape"), 0o644)
        return written, removed


def _replace(path: Path, data: bytes, mode: int) -> bool:
    """Puts `data` into `path` in one step, unless it is there."""
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o100 == mode & 0o100:
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
         *(str(path.resolve()) for path in mails[1:])],
        cwd=tree, check=False, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line.strip()]


def _patches(arguments: argparse.Namespace, repository: Repository) -> int:
    mails = repository.mails(arguments.output)
    print(f"{len(mails) - 1} patches and a cover letter for Linux {repository.version} "
          f"are in {arguments.output}")  # fmt: skip
    if not arguments.check:
        return 0
    found = checkpatch(repository.tree, mails)
    print("".join(f"{line}\n" for line in found), end="")
    print(f"checkpatch --strict: {len(found)} complaints")
    return 1 if found else 0


def _in_tree(arguments: argparse.Namespace, repository: Repository) -> int:
    with tempfile.TemporaryDirectory() as folder:
        mails = repository.mails(arguments.mails or Path(folder))
        repository.apply_mails(mails)
    written, removed = repository.put()
    for name in written:
        print(f"written {name}")
    for name in removed:
        print(f"removed {name}")
    print(f"{len(mails) - 1} patches: {len(written)} files written, {len(removed)} removed")
    return 0


def main(argv: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=Path, default=_HERE / "series.toml", help="its description")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    patches = commands.add_parser("patches", help="write the series as mails")
    patches.add_argument("tree", type=Path, metavar="KDIR", help="a kernel source tree")
    patches.add_argument("--output", type=Path, required=True, help="folder for the mails")
    patches.add_argument("--check", action="store_true", help="ask the tree's checkpatch")
    patches.set_defaults(run=_patches)
    in_tree = commands.add_parser("in-tree", help="apply the series to a tree")
    in_tree.add_argument("tree", type=Path, metavar="KDIR", help="a kernel source tree")
    in_tree.add_argument("--mails", type=Path, help="keep the mails in this folder")
    in_tree.set_defaults(run=_in_tree)
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="series-") as folder:
            series = Series.load(arguments.series)
            repository = Repository(Path(folder), series, arguments.tree.resolve(), Checkout())
            repository.commit_all()
            return int(arguments.run(arguments, repository))
    except SeriesError as error:
        print(f"series: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

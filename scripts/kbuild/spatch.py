#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Applies a semantic patch to a C file and counts what each of its rules does.

A rule that does not match is no error for spatch. Here it is: the semantic patch
has a comment for each of its rules,

    // rule NAME deletes N
    // rule NAME deletes N, adds M

and this program fails, with one line that names the rule, when a rule deletes or
adds another number of lines. Every rule needs a name and a comment.

To tell the rules apart, spatch runs once for the first rule, once for the first
two and so on; each count is the difference to the run before.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_COUNT = re.compile(r"^// rule (\S+) deletes (\d+)(?:, adds (\d+))?$")
#: The first line of a rule: its name, perhaps "depends on" and others, between @.
_HEADER = re.compile(r"^@\s*(\w*)[^@]*@")


class SpatchError(Exception):
    """What is wrong, in one line."""


@dataclass(frozen=True)
class Rule:
    """A rule of a semantic patch, and what it has to do."""

    name: str
    deletes: int
    adds: int
    #: The semantic patch from its beginning to the end of this rule.
    text: str


def rules(text: str) -> list[Rule]:
    """The rules of a semantic patch in their order; SpatchError if one has no count."""
    counts = {}
    starts: list[tuple[str, int]] = []
    lines = text.splitlines(keepends=True)
    declarations = False
    for number, line in enumerate(lines):
        if found := _COUNT.match(line.rstrip()):
            if found[1] in counts:
                raise SpatchError(f"rule {found[1]} has two counts")
            counts[found[1]] = (int(found[2]), int(found[3] or 0))
        elif declarations:
            # Metavariables end with a line of @@, or with an @@ at the end of one.
            declarations = not line.rstrip().endswith("@@")
        elif found := _HEADER.match(line):
            if not found[1]:
                raise SpatchError(f"the rule in line {number + 1} has no name")
            starts.append((found[1], number))
            declarations = not line.rstrip().endswith("@@")
    names = [name for name, _start in starts]
    if not names:
        raise SpatchError("it has no rule")
    for name in names:
        if name not in counts or names.count(name) > 1:
            raise SpatchError(
                f"rule {name} is there twice" if names.count(name) > 1
                else f"rule {name} has no comment '// rule {name} deletes N'"
            )
    for name in counts:
        if name not in names:
            raise SpatchError(f"there is no rule {name}, but a count for it")
    ends = [start for _name, start in starts[1:]] + [len(lines)]
    return [
        Rule(name, *counts[name], text="".join(lines[:end]))
        for name, end in zip(names, ends, strict=True)
    ]


def difference(before: Path, after: Path) -> tuple[int, int]:
    """Lines that a minimal diff deletes and adds."""
    done = subprocess.run(
        ["diff", "--minimal", str(before), str(after)],
        check=False, text=True, errors="replace", capture_output=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return (
        sum(line.startswith("<") for line in lines), sum(line.startswith(">") for line in lines)
    )  # fmt: skip


def apply(spatch: str, rule: Rule, source: Path, output: Path) -> None:
    """Applies the semantic patch up to `rule` to `source`; SpatchError if spatch fails."""
    cocci = output.with_suffix(".cocci")
    cocci.write_text(rule.text, encoding="utf-8")
    command = [
        spatch, "--very-quiet", "--no-show-diff", "--no-includes", "--sp-file", str(cocci),
        str(source), "-o", str(output),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, check=False, text=True, errors="replace", capture_output=True)
    except OSError as error:
        raise SpatchError(f"cannot run '{spatch}' (Debian: coccinelle): {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or "no message"
        raise SpatchError(f"spatch fails at rule {rule.name}: {said}")
    if not output.exists():
        # Nothing of it matches.
        output.write_bytes(source.read_bytes())


def problem(rule: Rule, deleted: int, added: int) -> str:
    """What `rule` did wrong; empty if nothing."""
    if (deleted, added) == (rule.deletes, rule.adds):
        return ""
    if not deleted and not added:
        return f"rule {rule.name} matches nothing"
    return (
        f"rule {rule.name} deletes {deleted} and adds {added} lines "
        f"instead of {rule.deletes} and {rule.adds}"
    )


def patched(spatch: str, text: str, source: Path, folder: Path) -> bytes:
    """`source` with the semantic patch `text`; SpatchError unless every rule does what it says."""
    before = source
    for number, rule in enumerate(rules(text)):
        output = folder / f"{number}.c"
        apply(spatch, rule, source, output)
        if wrong := problem(rule, *difference(before, output)):
            raise SpatchError(wrong)
        before = output
    return before.read_bytes()


def main(argv: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spatch", default="spatch", help="the command (default: spatch)")
    parser.add_argument("--name", help="what to call the C file (default: its path)")
    parser.add_argument("--release", default="", help="the kernel's version, for messages")
    parser.add_argument("--output", type=Path, required=True, help="the changed C file")
    parser.add_argument("cocci", type=Path, help="the semantic patch")
    parser.add_argument("source", type=Path, help="the C file")
    arguments = parser.parse_args(argv)
    name = arguments.name or str(arguments.source)
    where = f"{name} of Linux {arguments.release}" if arguments.release else name
    try:
        text = arguments.cocci.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            result = patched(arguments.spatch, text, arguments.source, Path(folder))
        arguments.output.write_bytes(result)
    except SpatchError as error:
        print(f"spatch: {arguments.cocci.name}: {error} (in {where})", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"spatch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

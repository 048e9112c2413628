# SPDX-License-Identifier: GPL-2.0
"""The tables of coverage in reports/: what they name exists, and they name every function
of a C file.

A row of a table has three cells of lines ``| text``: C functions, files with names
in them, tests. A line of the last cell that begins with ``gap:`` says what no test
covers. A row may be about ``lines M-N`` of the C file; if one is, all lines that have
code must be in some row. Tests of programs that are not in Python, the host's, are not looked up.
"""

import ast
import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
REPORTS = CHECKOUT / "selftests" / "target" / "reports"
SELFTESTS = CHECKOUT / "selftests" / "target"
DRIVERS = CHECKOUT / "drivers" / "target"

#: The tables, and the C file in drivers/target that each describes.
TABLES = {
    "tcmu-coverage.rst": "target_core_user.c",
    "core-tmr-coverage.rst": "target_core_tmr.c",
}

#: The release whose C files the tables describe.
RELEASE = "7.3.4"

#: Decorators of tests; the first argument is the test's name.
_DECORATORS = ("test", "section")

#: Names in files, in the text of a document: ``file``: ``name``, ``name``.
_PLACE = re.compile(r"``([\w/]+\.rs)``:((?:,?\s+``\w+``)+)")

_CELL = re.compile(r"^   (\* -|  -|   ) \| (.*)$")
_LITERAL = re.compile(r"``([^`]+)``")

#: A function's definition in kernel style: it begins in the first column and its
#: parameters do not end with a semicolon.
_DEFINITION = re.compile(r"^(?:[a-z]\w*\b[^;=(){}]*?[\s*])(\w+)\([^;{]*?\)\s*\{", re.M)

_LINES = re.compile(r"\blines (\d+)(?:-(\d+))?")

#: What a line of C may consist of and still have nothing to cover.
_NO_CODE = re.compile(r"[{}\s]*$|EXPORT_SYMBOL")


@dataclass
class Row:
    """A row of the table."""

    functions: list[str]
    #: Files below drivers/target, or of rust/, each with names in it.
    places: list[tuple[str, list[str]]]
    #: Program (or suite and file of the host's tests) and the name of its test, maybe a pattern.
    tests: list[tuple[str, str]]
    gaps: list[str]
    #: Lines of the C file, first and last.
    lines: list[tuple[int, int]]


def rows(text: str) -> list[Row]:
    """The rows of all tables in `text`."""
    found: list[list[list[str]]] = []
    for line in text.splitlines():
        match = _CELL.match(line)
        if not match:
            continue
        if match[1] == "* -":
            found.append([[]])
        elif match[1] == "  -":
            found[-1].append([])
        found[-1][-1].append(match[2].replace("\\*", "*"))
    return [_row(cells) for cells in found]


def _row(cells: list[list[str]]) -> Row:
    functions, places, tests = (cells + [[], [], []])[:3]
    row = Row([], [], [], [], [])
    for line in functions:
        row.functions += [name.removesuffix("()") for name in _LITERAL.findall(line)]
        for match in _LINES.finditer(line):
            row.lines.append((int(match[1]), int(match[2] or match[1])))
    for line in places:
        literals = _LITERAL.findall(line)
        if literals:
            row.places.append((literals[0], literals[1:]))
    for line in tests:
        program, _, name = line.partition(": ")
        if program == "gap":
            row.gaps.append(name)
        else:
            row.tests.append((program, name))
    return row


def selftests(folder: Path = SELFTESTS) -> dict[str, list[str]]:
    """The names of the tests of each program."""
    return {path.name: _names(path) for path in sorted(folder.glob("test_*.py"))}


def _names(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call) or not decorator.args:
                continue
            called = decorator.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            argument = decorator.args[0]
            if name in _DECORATORS and isinstance(argument, ast.Constant):
                names.append(str(argument.value))
    return names


def c_functions(text: str) -> list[str]:
    """The functions that a C file in kernel style defines."""
    return _DEFINITION.findall(re.sub(r"/\*.*?\*/|^#.*?[^\\]$", "", text, flags=re.S | re.M))


def code_lines(text: str) -> list[int]:
    """The numbers of the lines that have code, from the first function of a C file on."""
    plain = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.S)
    first = _DEFINITION.search(plain)
    if not first:
        return []
    before = plain.count("\n", 0, first.start())
    lines = enumerate(plain.split("\n")[before:], start=before + 1)
    return [number for number, line in lines if not _NO_CODE.match(line)]


def uncovered(table: list[Row], code: list[int]) -> list[str]:
    """Lines of code without a row, if the table's rows are about lines."""
    ranges = [lines for row in table for lines in row.lines]
    if not ranges:
        return []
    missing = [n for n in code if not any(first <= n <= last for first, last in ranges)]
    return [f"line {number} has no row" for number in missing]


def problems(
    table: list[Row], tests: dict[str, list[str]], drivers: Path, functions: list[str]
) -> list[str]:
    """What is wrong with the table."""
    found = []
    for row in table:
        what = ", ".join(row.functions) or "a row without a function"
        if not row.functions or not row.places:
            found.append(f"{what}: an empty cell")
        if not row.tests and not row.gaps:
            found.append(f"{what}: neither a test nor a gap")
        for file, names in row.places:
            # The layers under the drivers are named from the top.
            folder = CHECKOUT if file.startswith("rust/") else drivers
            found += [f"{what}: {problem}" for problem in _place(folder / file, file, names)]
        for program, name in row.tests:
            known = program.endswith(".py")
            if known and not fnmatch.filter(tests.get(program, []), name):
                found.append(f"{what}: there is no test '{program}: {name}'")
    named = {name for row in table for name in row.functions}
    found += [f"{name}() has no row" for name in functions if name not in named]
    return found


def _place(path: Path, file: str, names: list[str]) -> list[str]:
    if not path.is_file():
        return [f"there is no file {file}"]
    text = path.read_text(encoding="utf-8")
    parts = {part for name in names for part in name.split("::")}
    missing = [part for part in sorted(parts) if not re.search(rf"\b{re.escape(part)}\b", text)]
    return [f"nothing in {file} is named {part}" for part in missing]


def check(document: str, source: Path | None) -> list[str]:
    """What is wrong with a table in reports; `source` is a kernel of RELEASE."""
    table = rows((REPORTS / document).read_text(encoding="utf-8"))
    functions: list[str] = []
    code: list[int] = []
    if source:
        text = (source / "drivers/target" / TABLES[document]).read_text(encoding="utf-8")
        functions, code = c_functions(text), code_lines(text)
    return problems(table, selftests(), DRIVERS, functions) + uncovered(table, code)


def ways() -> list[str]:
    """What Documentation/target/ways.rst names and is not there."""
    text = (CHECKOUT / "Documentation/target/ways.rst").read_text(encoding="utf-8")
    return [
        problem
        for match in _PLACE.finditer(text)
        for problem in _place(CHECKOUT / match[1], match[1], _LITERAL.findall(match[2]))
    ]

# SPDX-License-Identifier: GPL-2.0
"""libiscsi's iscsi-test-cu against both implementations, test by test.

Every test that the installed program has is run, and has a result for each
implementation. Results that depend on timing are told from real differences by
running the tests in question more often.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..libiscsi import Outcome, Result
from . import Lab, need

#: How often tests are run again in which Rust looks worse than C.
_ROUNDS = 10

#: The higher, the better; a test that leaves something out is better than one that fails.
_RANK = {Outcome.PASS: 3, Outcome.SKIP: 2, Outcome.FAIL: 1, Outcome.NONE: 0, Outcome.HANG: 0}

#: Results by the name of the test, one for each time it was run.
Results = Mapping[str, Sequence[Result]]


def read_results(text: str) -> dict[str, list[Result]]:
    """Reads the lines of a guest's ``results``."""
    results: dict[str, list[Result]] = {}
    for line in text.splitlines():
        result = Result.read(line)
        results.setdefault(result.name, []).append(result)
    return results


def _ranks(results: Results, name: str) -> tuple[int, int]:
    """The worst and the best rank of a test."""
    ranks = [_RANK[result.outcome] for result in results[name]]
    return min(ranks), max(ranks)


@dataclass
class Comparison:
    """Names of the tests in which the implementations differ."""

    worse: list[str]
    better: list[str]


def compare(rust: Results, c: Results) -> Comparison:
    """Compares the worst and the best that each implementation did in each test.

    Rust is worse when either is. Raises RuntimeError unless both have the same tests.
    """
    if set(rust) != set(c):
        raise RuntimeError(f"tests of one implementation only: {sorted(set(rust) ^ set(c))}")
    found = Comparison([], [])
    for name in rust:
        mine, theirs = _ranks(rust, name), _ranks(c, name)
        if mine[0] < theirs[0] or mine[1] < theirs[1]:
            found.worse.append(name)
        elif mine != theirs:
            found.better.append(name)
    return found


def line(results: Sequence[Result]) -> str:
    """A test's line in the list: how it ended, and how often if not always in the same way."""
    counts = Counter(result.outcome.value for result in results)
    if len(counts) == 1:
        return str(results[0])
    tally = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    detail = next((result.detail for result in results if result.detail), "")
    return f"UNSTABLE {results[0].name} {tally}: {detail}"


def tally(results: Results) -> str:
    """Numbers of tests by how they ended."""
    counts = Counter(line(each).partition(" ")[0] for each in results.values())
    words = ["PASS", "FAIL", "SKIP", "HANG", "NONE", "UNSTABLE"]
    return f"{len(results)} tests: " + ", ".join(
        f"{counts[word]} {word}" for word in words if counts[word] or word in words[:3]
    )


def _run(
    lab: Lab, implementation: str, rounds: int = 1, suites: Sequence[str] = ()
) -> dict[str, list[Result]]:
    """Runs `suites`, all if there are none, in a guest. RuntimeError if a result is missing."""
    result = lab.run(implementation, ["--rounds", str(rounds), *suites])
    need(result, implementation)
    found = read_results((result.folder / "results").read_text(encoding="utf-8"))
    names = (result.folder / "tests").read_text(encoding="utf-8").split()
    if not names or set(found) != set(names):
        raise RuntimeError(f"tests without a result: {sorted(set(names) ^ set(found)) or 'all'}")
    return found


def _run_each(
    lab: Lab, rounds: int = 1, suites: Sequence[str] = ()
) -> dict[str, dict[str, list[Result]]]:
    """`_run` for each implementation, side by side as far as guests may be."""
    with ThreadPoolExecutor(lab.guests) as pool:
        runs = {name: pool.submit(_run, lab, name, rounds, suites) for name in lab.implementations}
        return {name: run.result() for name, run in runs.items()}


def _suites(names: Sequence[str]) -> list[str]:
    """The suites of tests, as iscsi-test-cu takes them; the family ALL has every test."""
    return sorted({f"ALL.{name.partition('.')[0]}" for name in names})


def _store(folder: Path, implementation: str, results: Results) -> None:
    path = folder / f"{implementation}.txt"
    text = "".join(f"{line(each)}\n" for each in results.values())
    path.write_text(f"{tally(results)}\n{text}", encoding="utf-8")
    print(f"{implementation}: {tally(results)}; the list is {path}")


def main(lab: Lab, arguments: list[str]) -> int:
    """Runs all tests, or the suites in `arguments`; with both, Rust must not be worse than C."""
    results = _run_each(lab, suites=arguments)
    if len(results) == 1:
        ((name, only),) = results.items()
        _store(lab.folder, name, only)
        hung = [test for test, each in only.items() if _RANK[each[0].outcome] == 0]
        for test in hung:
            print(line(only[test]))
        print(f"verdict: {len(hung)} tests of {name} have no end")
        return 1 if hung else 0
    found = compare(results["rust"], results["c"])
    if found.worse or found.better:
        suites = _suites(found.worse + found.better)
        print(f"they differ in {len(found.worse + found.better)} tests; {_ROUNDS} rounds more")
        for name, again in _run_each(lab, _ROUNDS, suites).items():
            for test, more in again.items():
                results[name][test] += more
        found = compare(results["rust"], results["c"])
    for name, each in results.items():
        _store(lab.folder, name, each)
    for word, names in (("worse", found.worse), ("better", found.better)):
        for test in names:
            print(f"{word}: {test}")
            print(f"    c:    {line(results['c'][test])}")
            print(f"    rust: {line(results['rust'][test])}")
    print(
        f"verdict: rust is worse than c in {len(found.worse)} tests "
        f"and better in {len(found.better)}"
    )
    return 1 if found.worse else 0

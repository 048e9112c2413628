# SPDX-License-Identifier: GPL-2.0
"""KTAP output, time limits and cleanup for the tests of one program.

A test is a function that takes a `Context`; it passes by returning. Whatever
it registers with the context is undone after it, in reverse order, also when
it failed, and a cleanup that fails makes the test fail.
"""

import fnmatch
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Exit statuses of a kselftest program.
KSFT_PASS, KSFT_FAIL, KSFT_SKIP = 0, 1, 4

#: The debug kernels of the lab say so here; they are several times slower.
_DEBUG = os.environ.get("FLAVOUR") == "debug"

#: An emulated machine, and one that gets only a fourth of its processors besides.
_SLOW = bool(os.environ.get("KSFT_MACHINE_SLOW"))

#: Factor for all limits, which nobody waits for unless something is wrong.
PATIENCE = (4.0 if _DEBUG else 2.0 if _SLOW else 1.0) * (4.0 if _SLOW else 1.0)

#: Factor for times in which a test must have brought something about. It may have to wait for their
#: end: where it can, a test waits for what happens instead.
PACE = 8.0 if _DEBUG and _SLOW else 4.0 if _DEBUG or _SLOW else 1.0

#: Seconds after which the initiator, and the backend, give up a command that is not to time out. At
#: pace 1 they are what both would have by themselves.
LONG = 30.0 * PACE

#: Seconds for one test unless it says otherwise. Emulated machines need most of it.
DEFAULT_LIMIT = 40.0

#: Seconds for undoing what one test set up.
CLEANUP_LIMIT = 40.0


class Skip(Exception):
    """The test cannot run here; the argument says why."""


class TestTimeout(Exception):
    """The test, or its cleanup, did not end within its limit."""


class Context:
    """What one test has set up and must be undone after it."""

    def __init__(self) -> None:
        self._cleanups: list[Callable[[], object]] = []
        self._last: list[Callable[[], object]] = []
        self._diagnostics: list[Callable[[], str]] = []

    def defer(self, function: Callable[[], object]) -> None:
        """Calls `function` after the test; the last one registered comes first."""
        self._cleanups.append(function)

    def defer_last(self, function: Callable[[], object]) -> None:
        """Calls `function` after everything else has been undone."""
        self._last.append(function)

    def on_failure(self, function: Callable[[], str]) -> None:
        """Text that explains a failure, asked for before the cleanup."""
        self._diagnostics.append(function)

    def diagnose(self) -> None:
        """Prints all texts registered with `on_failure`."""
        for function in self._diagnostics:
            try:
                diag(function())
            except Exception as error:
                diag(f"no diagnostics: {error!r}")

    def clean_up(self) -> list[str]:
        """Undoes everything; returns what went wrong on the way."""
        errors = []
        while self._cleanups or self._last:
            function = self._cleanups.pop() if self._cleanups else self._last.pop()
            try:
                with time_limit(CLEANUP_LIMIT * PATIENCE):
                    function()
            except Exception:
                errors.append("cleanup: " + traceback.format_exc(limit=-4))
        self._diagnostics.clear()
        return errors


def diag(text: str) -> None:
    """Prints diagnostic lines."""
    for line in text.rstrip("\n").split("\n"):
        print(f"# {line}", flush=True)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TestTimeout in the body after `seconds`; only in the main thread. May be nested."""

    def expire(_signal: int, _frame: "FrameType | None") -> None:
        raise TestTimeout(f"no end after {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expire)
    start = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if left:
            # The limit around this one goes on; 0 would end it.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - start), 0.001))


class Suite:
    """The tests of one program."""

    def __init__(self) -> None:
        self._tests: list[tuple[str, Callable[[Context], object], float]] = []
        #: For what the first test that needs it sets up for all; undone after the last.
        self.shared = Context()

    def test(
        self, name: str, limit: float = DEFAULT_LIMIT
    ) -> Callable[[Callable[[Context], object]], Callable[[Context], object]]:
        """Registers a test that must end within `limit` seconds."""
        assert "#" not in name and ":" not in name, name

        def register(function: Callable[[Context], object]) -> Callable[[Context], object]:
            self._tests.append((name, function, limit))
            return function

        return register

    def run(self) -> None:
        """Runs all tests and exits. Arguments are patterns that choose among them."""
        chosen = [
            test for test in self._tests
            if not sys.argv[1:] or any(fnmatch.fnmatchcase(test[0], a) for a in sys.argv[1:])
        ]  # fmt: skip
        print("TAP version 13", flush=True)
        missing = self.missing()
        if missing:
            print(f"1..0 # SKIP {missing}", flush=True)
            sys.exit(KSFT_SKIP)
        print(f"1..{len(chosen)}", flush=True)
        self.prepare()
        results = [self._one(number, *test) for number, test in enumerate(chosen, start=1)]
        counts = {word: results.count(word) for word in ("pass", "fail", "skip")}
        errors = self.shared.clean_up()
        for error in errors:
            diag(error)
        diag(f"Totals: pass:{counts['pass']} fail:{counts['fail']} xfail:0 xpass:0 "
             f"skip:{counts['skip']} error:0")  # fmt: skip
        # Not through sys.exit(): a child stuck in the kernel must not keep us here.
        os._exit(KSFT_FAIL if counts["fail"] or errors else KSFT_PASS)

    def missing(self) -> str:
        """What this machine lacks; empty if nothing."""
        return "needs root" if os.geteuid() != 0 else ""

    def prepare(self) -> None:
        """Called before the first test."""

    def _one(
        self,
        number: int,
        name: str,
        function: Callable[[Context], object],
        limit: float,
    ) -> str:
        context = Context()
        skipped: "str | None" = None
        errors: list[str] = []
        start = time.monotonic()
        try:
            with time_limit(limit * PATIENCE):
                function(context)
        except Skip as skip:
            skipped = str(skip)
        except Exception:
            errors.append(traceback.format_exc())
            context.diagnose()
        took = time.monotonic() - start
        errors += context.clean_up()
        diag(f"{took:.1f} s, and {time.monotonic() - start - took:.1f} s to undo it")
        for error in errors:
            diag(error)
        if errors:
            print(f"not ok {number} {name}", flush=True)
            return "fail"
        print(f"ok {number} {name}" + (f" # SKIP {skipped}" if skipped is not None else ""),
              flush=True)  # fmt: skip
        return "pass" if skipped is None else "skip"


def equal(found: object, expected: object, what: str = "value") -> None:
    """Fails the test, showing both, unless they are equal."""
    assert found == expected, f"{what} is {found!r}, expected {expected!r}"


def raises_errno(expected: int, function: Callable[[], object], what: str) -> None:
    """Fails the test unless `function` raises OSError with this errno."""
    try:
        function()
    except OSError as error:
        found = error.errno or 0
        assert found == expected, (
            f"{what} failed with {errno_name(found)}, expected {errno_name(expected)}"
        )
        return
    raise AssertionError(f"{what} succeeded, expected {errno_name(expected)}")


def errno_name(number: int) -> str:
    """``EINVAL`` and the like."""
    import errno

    return errno.errorcode.get(number, str(number))

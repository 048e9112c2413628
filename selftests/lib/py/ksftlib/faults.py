# SPDX-License-Identifier: GPL-2.0
"""Allocations that fail on purpose (the kernel's fault injection)."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .files import read, set_for_test
from .ktap import Context, Skip

_NTH = "/proc/thread-self/fail-nth"
_KINDS = [Path("/sys/kernel/debug") / name for name in ("failslab", "fail_page_alloc")]

#: Failures that are more than a test can have.
_MANY = 1_000_000


def prepare(context: Context) -> None:
    """Lets every kind of allocation fail; skips the test if the kernel cannot do that."""
    if not Path(_NTH).exists() or not all(path.is_dir() for path in _KINDS):
        raise Skip("the kernel has no CONFIG_FAILSLAB or CONFIG_FAIL_PAGE_ALLOC")
    for path in _KINDS:
        # Also those that could wait for memory, which are nearly all; and without a word.
        set_for_test(context, path / "ignore-gfp-wait", "N")
        set_for_test(context, path / "verbose", "0")
    set_for_test(context, _KINDS[1] / "min-order", "0")


class Nth:
    """Makes the Nth allocation of one call fail, for N from 1 until the call needs no more."""

    #: No call of ours needs so many.
    _MOST = 2000

    def __init__(self, *plausible: int) -> None:
        # What a failed allocation may be reported as.
        self._plausible = (errno.ENOMEM, *plausible)
        #: Calls that met a failed allocation.
        self.tried = 0
        #: Of them, calls that succeeded all the same.
        self.survived = 0

    def __call__(
        self, action: Callable[[], object], undo: "Callable[[], object] | None" = None
    ) -> None:
        """Runs `action` again and again. What succeeds before the last time is undone.

        Fails the test for an error other than ENOMEM and those that the constructor was given, and
        for a call that never gets through.
        """
        for number in range(1, self._MOST):
            error: "OSError | None" = None
            descriptor = os.open(_NTH, os.O_RDWR)
            try:
                os.write(descriptor, str(number).encode())
                try:
                    action()
                except OSError as failure:
                    error = failure
                met = os.pread(descriptor, 16, 0).strip() in (b"0", b"")
                os.write(descriptor, b"0")
            finally:
                os.close(descriptor)
            if not met:
                if error:
                    raise error
                return
            self.tried += 1
            if error is None:
                self.survived += 1
                if undo:
                    undo()
            elif error.errno not in self._plausible:
                raise error
        raise AssertionError(f"still more than {self._MOST} allocations")


@contextmanager
def some_of(module: str, percent: int) -> Iterator[Callable[[], int]]:
    """In the body, so many of a hundred allocations that code of `module` asks for fail.

    What it gives tells how many have failed so far.
    """
    start, end = _text_of(module)
    context = Context()
    try:
        for path in _KINDS:
            for name, value in (
                ("require-start", f"{start:#x}"), ("require-end", f"{end:#x}"),
                ("stacktrace-depth", "32"), ("interval", "1"), ("times", str(_MANY)),
                ("probability", str(percent)),
            ):  # fmt: skip
                set_for_test(context, path / name, value)
        yield lambda: sum(_MANY - int(read(path / "times")) for path in _KINDS)
    finally:
        errors = context.clean_up()
        assert not errors, "\n".join(errors)


def _text_of(module: str) -> tuple[int, int]:
    """First and last address of the functions of a module."""
    addresses = []
    with open("/proc/kallsyms", encoding="ascii", errors="replace") as symbols:
        for line in symbols:
            fields = line.split()
            if fields[-1] == f"[{module}]" and fields[1] in "tT":
                addresses.append(int(fields[0], 16))
    assert addresses and min(addresses), f"no addresses of {module}"
    return min(addresses), max(addresses) + 0x1000

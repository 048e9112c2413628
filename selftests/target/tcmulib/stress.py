# SPDX-License-Identifier: GPL-2.0
"""What the long runs share: a context around each, and a last line that is the verdict."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from ksftlib.ktap import Context, equal

from .configfs import remove_leftovers
from .impl import implementation
from .module import TCMU


def say(text: str = "") -> None:
    """A line of output."""
    print(text, flush=True)


def say_machine(more: str = "") -> None:
    """The first line: what this runs on."""
    say(f"Linux {platform.release()}, modules: {implementation()}{more}")


def verdict(wrong: list[str], good: str, bad: str, ran: str = "") -> int:
    """Says what is `wrong`, and the verdict, which is the last line; returns the exit status.

    `ran` says what was done.
    """
    for line in wrong:
        say(f"  {line}")
    say(f"verdict: {bad if wrong else good}{f': {ran}' if ran else ''}")
    return 1 if wrong else 0


@contextmanager
def undone(wrong: list[str]) -> Iterator[Context]:
    """A context that is undone at the end of the body.

    What goes wrong in the body or then, and what is left behind, is added to `wrong`.
    """
    before = TCMU.references()
    context = Context()
    try:
        yield context
    except Exception as error:
        wrong.append(repr(error))
    if wrong:
        context.diagnose()
    wrong += context.clean_up()
    try:
        remove_leftovers()
        equal(TCMU.references(), before, "users of the module")
    except AssertionError as error:
        wrong.append(str(error))

# SPDX-License-Identifier: GPL-2.0
"""Whose modules are loaded: this project's or the stock ones in C."""

from ksftlib.impl import loaded

#: Whose symbols tell.
CRATE = "tcmu"


def implementation() -> str:
    """``rust`` or ``c``."""
    return loaded(CRATE)

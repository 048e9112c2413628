# SPDX-License-Identifier: GPL-2.0
"""Whose module is loaded: this project's or the stock one in C."""

from ksftlib.impl import loaded

#: Whose symbols tell.
CRATE = "conn"


def implementation() -> str:
    """``rust`` or ``c``."""
    return loaded(CRATE)

# SPDX-License-Identifier: GPL-2.0
"""The one exception type that reaches the user."""


class LabError(Exception):
    """A failure whose text says what happened and what to do about it."""

# SPDX-License-Identifier: GPL-2.0
"""The module under test."""

from ksftlib.module import Module

#: The initiator.
ISER = Module("ib_iser")

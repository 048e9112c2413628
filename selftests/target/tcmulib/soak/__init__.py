# SPDX-License-Identifier: GPL-2.0
"""Random commands, aborts, resets and preempts, and books of who got which answer."""

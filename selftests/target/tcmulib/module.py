# SPDX-License-Identifier: GPL-2.0
"""The target's modules."""

from ksftlib.module import Module

#: The backend for user space, and the core.
TCMU, CORE = Module("target_core_user"), Module("target_core_mod")

#: Modules whose users are counted where nothing may stay behind.
COUNTED = (TCMU.name, CORE.name, "tcm_loop", "uio")

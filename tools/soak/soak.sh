#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Random commands, aborts, resets and preempts, counted; see soak.py. For a
# virtual machine.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/soak.py" "$@"

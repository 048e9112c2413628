#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures the kernel memory that commands in flight take; see per_command.py.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/per_command.py" "$@"

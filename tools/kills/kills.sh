#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Kills daemons under verified input and output; see kills.py. For a virtual
# machine.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/kills.py" "$@"

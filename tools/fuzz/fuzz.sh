#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Attacks the kernel with a hostile daemon; see fuzz.py. For a virtual machine:
# it stops the machine's udev.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/fuzz.py" "$@"

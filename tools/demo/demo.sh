#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# lab: timeout=4000 tools=yes
#
# Shows an initiator's ABORT_TASK reach a user-space daemon. Runs on a machine,
# usually the virtual one of "make demo", that has the SCSI target modules
# loaded; see demo.py for what it does.
#
# The event logs of the daemons go to RESULTS, if that is set. What it waits for
# may take as long as on a slow machine.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export KSFT_MACHINE_SLOW=yes
PYTHONDONTWRITEBYTECODE=1 exec python3 "$here/demo.py" "$@"

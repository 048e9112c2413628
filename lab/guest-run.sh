#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of "lab vm": sets up the guest, runs one script and leaves
# its output and exit status in the results folder.
#
# usage: guest-run.sh RESULTS    (RESULTS/env has been written by the host)

RESULTS=$1
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec > "$RESULTS/output" 2>&1 < /dev/null

# shellcheck source=/dev/null
. "$RESULTS/env"

lab_finish() {
	local leaks=/sys/kernel/debug/kmemleak

	# The debug kernel's leak checker: an object counts when it is older than
	# five seconds and two scans find no reference to it. It reports the number
	# on the console; the details go into the results.
	if [ -e "$leaks" ] && [ -z "${LAB_NO_KMEMLEAK:-}" ]; then
		sleep 6
		echo scan > "$leaks"
		sleep 1
		echo scan > "$leaks"
		cat "$leaks" > "$RESULTS/kmemleak"
	fi
	dmesg > "$RESULTS/dmesg"
	# Written last: without it the host knows that the guest did not get here.
	echo "$1" > "$RESULTS/status"
	sync
}

# shellcheck source=lab/guest-init.sh
if ! . "$HERE/guest-init.sh"; then
	echo "the guest could not be set up for IMPL=$IMPL"
	lab_finish 125
	exit 125
fi

cd "$LAB_DIRECTORY" || exit 125
timeout --kill-after=10 "$LAB_TIMEOUT" "${LAB_COMMAND[@]}"
status=$?
if [ $status -eq 124 ] || [ $status -eq 137 ]; then
	# Who waits for what: the blocked tasks, on the console.
	echo w > /proc/sysrq-trigger
	touch "$RESULTS/timed-out"
fi
lab_finish "$status"
exit "$status"

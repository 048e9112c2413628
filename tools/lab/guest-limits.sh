#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced inside the guest: how slow the machine is, and after which times its
# kernel reports what does not move. The lab counts such a report as a failure,
# so that it must not be the host's other work that brings it about.

# Sets LAB_SLOWNESS, a whole number from 1 to 6: how many times more than usual
# the boot took, of which $1 is the uptime in seconds.
lab_slowness() {
	# An idle host with two processors and emulation needs about half of that.
	local usual=10

	[ "${FLAVOUR:-}" != debug ] || usual=40
	LAB_SLOWNESS=$((${1%%.*} / usual))
	((LAB_SLOWNESS >= 1)) || LAB_SLOWNESS=1
	((LAB_SLOWNESS <= 6)) || LAB_SLOWNESS=6
	export LAB_SLOWNESS
}

# Multiplies the number in the file $1, in seconds, by LAB_SLOWNESS, if there is one.
lab_stretch() {
	local seconds

	[ -e "$1" ] || return 0
	seconds=$(< "$1")
	# 0 means never, or derived from another.
	((seconds == 0 || LAB_SLOWNESS == 1)) || echo $((seconds * LAB_SLOWNESS)) > "$1"
}

# lab_limits ROOT: sets the times, in the files below ROOT, which is empty but in tests.
lab_limits() {
	local root=$1 uptime

	read -r uptime _ < "$root/proc/uptime"
	lab_slowness "$uptime"
	# Shorter than the default of two minutes, so that a task stuck for good is
	# reported before a test's time is up, yet longer than any wait in a test.
	echo 60 > "$root/proc/sys/kernel/hung_task_timeout_secs"
	lab_stretch "$root/proc/sys/kernel/hung_task_timeout_secs"
	# A processor that runs nothing else: soft lock-ups, workqueues, RCU.
	lab_stretch "$root/proc/sys/kernel/watchdog_thresh"
	lab_stretch "$root/sys/module/workqueue/parameters/watchdog_thresh"
	lab_stretch "$root/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"
}

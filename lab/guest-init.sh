#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced inside the guest: mounts the file systems that the tests use, loads
# modules and does what the subsystems want done. Every process counts: the
# guest may be emulated.
#
# IMPL       rust: this project's modules; c: the stock ones of the same kernel;
#            none: no modules at all
# MODULES    lib/modules/<release> of the stock modules
# LAB_HIDE   this project's modules and the stock ones that they replace, OURS:STOCK
# LAB_LOAD   the modules to load, in this order
# LAB_SETUP  scripts of the subsystems, sourced in the end
# LAB_UNPACKED  folders with packages that are unpacked there and not installed

lab_mount() {
	local type=$1 where=$2

	[[ $LAB_MOUNTS == *" $where $type "* ]] || mount -t "$type" none "$where"
}

# modprobe, in the guest as well as when the kernel calls it, sees the stock
# modules of the kernel that runs.
lab_link_modules() {
	local release

	release=$(< /proc/sys/kernel/osrelease)
	rm -rf "/lib/modules/$release" 2> /dev/null
	[ -d /lib/modules ] || mkdir -p /lib/modules
	ln -sfn "$MODULES" "/lib/modules/$release"
}

# Nothing may load the stock module of a name that this project has: a module
# that is missing must fail the tests instead of being replaced silently.
lab_hide_stock() {
	local pair

	for pair in $LAB_HIDE; do
		mount --bind "${pair%%:*}" "${pair#*:}" || return 1
	done
}

lab_load() {
	local file name

	for file in $LAB_LOAD; do
		name=${file##*/}
		name=${name%.ko}
		[ -d "/sys/module/${name//-/_}" ] || insmod "$file" || return 1
	done
}

lab_init() {
	LAB_MOUNTS=$(< /proc/mounts)
	lab_mount configfs /sys/kernel/config
	lab_mount debugfs /sys/kernel/debug
	lab_mount tracefs /sys/kernel/tracing
	lab_link_modules
	# Leaks are looked for at the end of a run; the kernel's own scans, which
	# start a minute after booting, only slow the tests down.
	if [ -e /sys/kernel/debug/kmemleak ]; then
		echo scan=off > /sys/kernel/debug/kmemleak
	fi
	# So short that a task stuck for good is reported before a test's time is
	# up (320 s), yet longer than any wait in a test on a busy machine.
	echo 240 > /proc/sys/kernel/hung_task_timeout_secs
	lab_hide_stock && lab_load
}

# What is installed comes first.
lab_unpacked() {
	local root library

	for root in $LAB_UNPACKED; do
		PATH+=":$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin"
		for library in "$root"/usr/lib/*-linux-* "$root"/lib/*-linux-*; do
			[ -d "$library" ] || continue
			LD_LIBRARY_PATH+="${LD_LIBRARY_PATH:+:}$library"
			export LD_LIBRARY_PATH
		done
	done
	export PATH
}

lab_setup() {
	local script

	for script in $LAB_SETUP; do
		# shellcheck source=/dev/null
		. "$script" || return 1
	done
}

lab_init && lab_unpacked && lab_setup

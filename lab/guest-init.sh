#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced inside the guest: mounts the file systems that the tests use, loads
# the modules of one implementation and does what the subsystems want done.
#
# IMPL             rust: this project's modules; c: the stock ones of the same
#                  kernel; none: no modules at all
# MODULES          lib/modules/<release> of the stock modules
# RUST_MODULES     folder with this project's .ko files and load.order
# LAB_MODULES      names of the modules to load, of either implementation
# LAB_OWN_MODULES  those that only this project has
# LAB_SETUP        scripts of the subsystems, sourced in the end

lab_mount() {
	local type=$1 where=$2

	mountpoint -q "$where" || mount -t "$type" none "$where"
}

# modprobe, in the guest as well as when the kernel calls it, sees the stock
# modules of the kernel that runs.
lab_link_modules() {
	local release

	release=$(uname -r)
	rm -rf "/lib/modules/$release" 2> /dev/null
	mkdir -p /lib/modules
	ln -sfn "$MODULES" "/lib/modules/$release"
}

# insmod file: loads the stock modules that it needs first. What this project
# has already loaded under a stock module's name satisfies the dependency.
lab_insmod() {
	local file=$1 needed

	for needed in $(modinfo -F depends "$file" | tr ',' ' '); do
		modprobe "$needed" || return 1
	done
	insmod "$file"
}

# Nothing may load the stock module of a name that this project has: a module
# that is missing must fail the tests instead of being replaced silently.
lab_hide_stock() {
	local file=$1 stock

	find "$MODULES" -name "$(basename "$file")" | while read -r stock; do
		mount --bind "$file" "$stock"
	done
}

lab_load_rust() {
	local file name missing=" $LAB_MODULES $LAB_OWN_MODULES "

	while read -r file; do
		lab_hide_stock "$RUST_MODULES/$file" || return 1
	done < "$RUST_MODULES/load.order"
	while read -r file; do
		# A file's name may have dashes where the module's has underscores.
		name=$(basename "$file" .ko)
		name=${name//-/_}
		case $missing in
		*" $name "*)
			lab_insmod "$RUST_MODULES/$file" || return 1
			missing=${missing/ $name / }
			;;
		esac
	done < "$RUST_MODULES/load.order"
	if [ -n "${missing// /}" ]; then
		echo "not built:$missing" >&2
		return 1
	fi
}

lab_load_c() {
	local name

	for name in $LAB_MODULES; do
		modprobe "$name" || return 1
	done
}

lab_init() {
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
	case $IMPL in
	rust)
		lab_load_rust
		;;
	c)
		lab_load_c
		;;
	none)
		;;
	*)
		echo "IMPL is '$IMPL'; it must be 'rust', 'c' or 'none'" >&2
		return 1
		;;
	esac
}

lab_setup() {
	local script

	for script in $LAB_SETUP; do
		# shellcheck source=/dev/null
		. "$script" || return 1
	done
}

lab_init && lab_setup

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Inside a guest whose kernel was built from a tree with this project's sources:
# shows that the backend is there and of the implementation that was chosen,
# then runs a program.
#
# usage: guest.sh m|y rust|c PROGRAM [ARGUMENT...]
#
# m: target_core_user is a module; y: it is part of the kernel image.

form=$1
impl=$2
shift 2

# Of global_max_data_area_mb, as lab.toml gives it on the kernel's command line, where
# the name of the module has to lead to the parameter in all forms. In C that is a
# WARN without the series of patches, which has one for it.
limit=4096

module=/sys/module/target_core_user

fail() {
	echo "in-tree: $*" >&2
	exit 1
}

# Lines of kallsyms with a symbol of a Rust crate (v0 mangling has its length).
crate_symbols() {
	grep -c " _R.*_${#1}$1" /proc/kallsyms
}

case $form in
m)
	[ ! -e "$module" ] || fail "the module is loaded already"
	# Takes its parameters from the kernel's command line.
	modprobe target_core_user || fail "modprobe failed"
	grep -q '^target_core_user ' /proc/modules || fail "no module target_core_user"
	;;
y)
	grep -q '^target_core_' /proc/modules && fail "the target is a module"
	modprobe -n target_core_user || fail "modprobe knows nothing of the built-in module"
	;;
*)
	fail "the form is '$form'; it must be m or y"
	;;
esac

value=$(cat "$module/parameters/global_max_data_area_mb") ||
	fail "no $module/parameters/global_max_data_area_mb"
[ "$value" = "$limit" ] || fail "global_max_data_area_mb is $value instead of $limit"

for crate in tcmu target_core_tmr; do
	number=$(crate_symbols "$crate")
	case $impl in
	rust)
		[ "$number" -gt 0 ] || fail "no symbols of the Rust crate $crate"
		;;
	c)
		[ "$number" -eq 0 ] || fail "$number symbols of the Rust crate $crate"
		;;
	esac
done

hba=/sys/kernel/config/target/core/user_7
mkdir "$hba" || fail "the backend user is not registered"
mkdir "$hba/in-tree" || fail "no device can be made"
grep -q DEACTIVATED "$hba/in-tree/info" || fail "the new device says nothing of its status"
rmdir "$hba/in-tree" "$hba" || fail "the device cannot be removed"

export IMPL=$impl
exec "$@"

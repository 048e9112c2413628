#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Inside a guest whose kernel was built from a tree with this project's sources:
# shows that host and target of NVMe over FC are there and of the implementation
# that was chosen, then runs a program.
#
# usage: guest.sh m|y rust|c PROGRAM [ARGUMENT...]
#
# m: both are modules; y: they are part of the kernel image.

form=$1
impl=$2
shift 2

fail() {
	echo "in-tree: $*" >&2
	exit 1
}

case $form in
m)
	grep -Eq '^(nvme_fc|nvmet_fc) ' /proc/modules && fail "a module is loaded already"
	for module in nvme_fc nvmet_fc; do
		modprobe "$module" || fail "modprobe $module failed"
		grep -q "^$module " /proc/modules || fail "no module $module"
	done
	;;
y)
	grep -Eq '^(nvme_fc|nvmet_fc|nvmet) ' /proc/modules && fail "one of them is a module"
	for module in nvme_fc nvmet_fc; do
		modprobe -n "$module" || fail "modprobe knows nothing of the built-in $module"
	done
	;;
*)
	fail "the form is '$form'; it must be m or y"
	;;
esac

# Lines of kallsyms with a symbol of each Rust crate (v0 mangling has its length).
for crate in 6fcgate 3fcq; do
	number=$(grep -c " _R.*_$crate" /proc/kallsyms)
	case $impl in
	rust)
		[ "$number" -gt 0 ] || fail "no symbols of the Rust crate ${crate#?}"
		;;
	c)
		[ "$number" -eq 0 ] || fail "$number symbols of the Rust crate ${crate#?}"
		;;
	*)
		fail "the implementation is '$impl'; it must be rust or c"
		;;
	esac
done

export IMPL=$impl
exec "$@"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Inside a guest whose kernel was built from a tree with this project's sources:
# shows that RPC over RDMA is there and of the implementation that was chosen,
# then runs a program.
#
# usage: guest.sh m|y rust|c PROGRAM [ARGUMENT...]
#
# m: rpcrdma is a module; y: it is part of the kernel image.

form=$1
impl=$2
shift 2

fail() {
	echo "in-tree: $*" >&2
	exit 1
}

case $form in
m)
	grep -q '^rpcrdma ' /proc/modules && fail "the module is loaded already"
	modprobe rpcrdma || fail "modprobe failed"
	grep -q '^rpcrdma ' /proc/modules || fail "no module rpcrdma"
	;;
y)
	grep -Eq '^(rpcrdma|sunrpc) ' /proc/modules && fail "rpcrdma is a module"
	modprobe -n rpcrdma || fail "modprobe knows nothing of the built-in module"
	;;
*)
	fail "the form is '$form'; it must be m or y"
	;;
esac

# Lines of kallsyms with a symbol of the Rust crate (v0 mangling has its length).
number=$(grep -c ' _R.*_7sendctx' /proc/kallsyms)
case $impl in
rust)
	[ "$number" -gt 0 ] || fail "no symbols of the Rust crate sendctx"
	;;
c)
	[ "$number" -eq 0 ] || fail "$number symbols of the Rust crate sendctx"
	;;
*)
	fail "the implementation is '$impl'; it must be rust or c"
	;;
esac

grep -q '^rdma ' /proc/sys/sunrpc/transports || fail "RPC has no transport rdma"

export IMPL=$impl
exec "$@"

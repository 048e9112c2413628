#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs test programs one after the other as the kernel's kselftest runner does:
# each is one result of the outer KTAP, its own output is indented below it.
#
# usage: run_tests.sh PROGRAM...    (in their folder)

folder=$(basename "$PWD")
timeout=45
while IFS='=' read -r name value; do
	[ "$name" = timeout ] && timeout=$value
done < settings

failed=0
number=0
echo "TAP version 13"
echo "1..$#"
for program in "$@"; do
	number=$((number + 1))
	# --kill-after: a program that does not react to SIGTERM ends all the same.
	timeout --kill-after=10 "$timeout" "./$program" 2>&1 | sed -u 's/^/# /'
	case ${PIPESTATUS[0]} in
	0)
		echo "ok $number selftests: $folder: $program"
		;;
	4)
		echo "ok $number selftests: $folder: $program # SKIP"
		;;
	124 | 137)
		echo "not ok $number selftests: $folder: $program # TIMEOUT $timeout seconds"
		failed=1
		;;
	*)
		echo "not ok $number selftests: $folder: $program"
		failed=1
		;;
	esac
done
exit $failed

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced in the guest by the lab, after the modules have been loaded.

# For the tests that load them themselves: LLDDs for tests, KUnit suites.
if [ -n "$RUST_MODULES" ]; then
	export NVME_FC_TEST_MODULES="$RUST_MODULES"
fi

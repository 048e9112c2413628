#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced inside the guest by the lab, after the modules have been loaded.

# For the test that loads it: loading it runs tests.
if [ "$IMPL" = rust ]; then
	export TCMU_KUNIT_MODULE="$RUST_MODULES/target_core_user_kunit.ko"
fi

# SPDX-License-Identifier: GPL-2.0
#
# For the Makefile of a folder of selftests that is not in a kernel tree: the
# rules of the kernel's lib.mk, from the tree that KDIR names or, without one,
# the few that are needed. Included after TEST_PROGS and the other lists.

ifneq ($(KDIR),)
# The runner looks for `settings` inside the kernel tree only.
export kselftest_override_timeout := $(shell sed -n 's/^timeout=//p' settings)
include $(KDIR)/tools/testing/selftests/lib.mk
else
.PHONY: all run_tests install clean

all:

run_tests:
	@../lib/run_tests.sh $(TEST_PROGS)

install:
	@test -n "$(INSTALL_PATH)" || { echo "set INSTALL_PATH" >&2; exit 1; }
	@mkdir -p "$(INSTALL_PATH)"
	@cp -RL $(TEST_PROGS) $(TEST_PROGS_EXTENDED) $(TEST_FILES) ../lib/run_tests.sh \
		config settings "$(INSTALL_PATH)/"

clean:
	@find -L . -name __pycache__ -prune -exec rm -rf {} +
endif

# SPDX-License-Identifier: GPL-2.0
#
# C files of the kernel tree that a semantic patch changes before they are
# compiled: $(spatch-dir)/foo.cocci is applied to foo.c of the tree, the result is
# $(obj)/foo.c. Read by mixed-module.mk, which sets
#
#   tree-dir, tree-src	the directory in the tree, and where that is
#   spatch-objs		objects that are made so
#   spatch-dir		where the semantic patches are; $(src) unless set
#
# The semantic patch says what each of its rules deletes and adds; the build
# ends when a rule does something else, as it may in another kernel. See
# spatch.py.

SPATCH ?= spatch
spatch-dir ?= $(src)
spatch-py := $(srcroot)/scripts/kbuild/spatch.py
spatch-sources := $(addprefix $(obj)/,$(spatch-objs:.o=.c))

quiet_cmd_spatch = SPATCH  $@
      cmd_spatch = $(PYTHON3) $(spatch-py) --spatch $(SPATCH)		\
	--name $(tree-dir)/$*.c --release $(KERNELRELEASE)		\
	--output $@ $(spatch-dir)/$*.cocci $(tree-src)/$*.c

targets += $(spatch-objs:.o=.c)
$(spatch-sources): $(obj)/%.c: $(tree-src)/%.c $(spatch-dir)/%.cocci $(spatch-py) FORCE
	$(call if_changed,spatch)

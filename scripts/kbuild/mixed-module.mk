# SPDX-License-Identifier: GPL-2.0
#
# A module of the external form in which Rust replaces a part of C: the other C
# files are the kernel tree's own and are compiled from there. A Kbuild file
# sets these and includes this file:
#
#   mixed-module	name of the module
#   tree-dir		its directory in the kernel tree
#   tree-objs		objects that are made of that directory's C files
#			(also tree-objs-y, tree-objs-m)
#   spatch-objs		those of tree-objs whose C file is changed first, by the
#			semantic patch of the same name (see spatch.mk)
#   spatch-dir		where the semantic patches are; $(src) unless set
#   rust-objs		objects of this project: Rust crates, C helpers
#
# KSRC names kernel source when the tree that is built against has no C files.

tree-src := $(or $(KSRC),$(srctree))/$(tree-dir)

obj-m += $(mixed-module).o
tree-objs += $(tree-objs-y) $(tree-objs-m)
$(mixed-module)-y := $(tree-objs) $(rust-objs)

# For what is compiled here and includes headers of that directory.
ccflags-y += -I$(tree-src)

tree-unchanged := $(filter-out $(spatch-objs),$(tree-objs))

$(addprefix $(obj)/,$(tree-unchanged)): $(obj)/%.o: $(tree-src)/%.c FORCE
	$(call if_changed_rule,cc_o_c)

ifneq ($(spatch-objs),)
include $(srcroot)/scripts/kbuild/spatch.mk
endif

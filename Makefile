# SPDX-License-Identifier: GPL-2.0
#
# Entry points for people. Kbuild reads the file Kbuild instead of this one.
#
#   FLAVOUR=fast|debug|cfi  which kernel (default: fast)
#   IMPL=rust|c             whose modules the tests load (default: rust)
#   KDIR=<path>             a kernel tree of your own instead of Debian's
#
# When KDIR is a kernel that has been built, "make modules" and "make
# modules_install" use it as it is, without lab/: see Documentation/install.rst.

LAB := $(CURDIR)/lab/lab
SERIES := $(CURDIR)/scripts/patches/series.py

# For make patches.
PATCHES ?= patches

# How to call the kernel's make; LLVM=-22 or LLVM=/usr/lib/llvm-22/bin/ choose a version.
LLVM ?= 1

# Not empty: build against KDIR as it is.
EXTERNAL ?= $(and $(KDIR),$(wildcard $(KDIR)/include/config/auto.conf))

export FLAVOUR IMPL KDIR

.PHONY: help env kernel modules modules_install patches in-tree in-tree-check check vm fmt clean distclean

help:
	@echo 'make env         build what is missing and print where it is'
	@echo 'make kernel      build the kernel that the modules are built against'
	@echo 'make modules     build the modules (KDIR=<built kernel>: against it)'
	@echo 'make modules_install KDIR=<built kernel>  install those, below INSTALL_MOD_PATH'
	@echo 'make patches KDIR=<kernel source>         write series of patches below PATCHES='
	@echo 'make in-tree KDIR=<kernel source>         apply all of them there'
	@echo 'make in-tree-check                        build and boot that form'
	@echo 'make check       run all checks; the last line is "N passed, M failed"'
	@echo 'make vm          a shell in the virtual machine'
	@echo 'make fmt         format all Rust files'
	@echo 'make clean       remove what was built from this checkout'
	@echo 'make distclean   clean, and remove the cache: kernels, sources, tools'
	@echo 'make NAME        run a program in a guest; the last line is the verdict:'
	@echo '    demo, clients, leak, soak, fuzz, kills, memory, c-hazards, iscsi-test, bounce,'
	@echo '    cycles, cuts, failover'
	@echo '    COUNT=, SEED=, SECONDS= and FABRIC= are for those that have such an option'
	@echo '    ("lab/lab run" says what they are, selftests/*/README.rst more)'
	@echo
	@echo 'FLAVOUR=debug    with the debug kernel (KASAN, lockdep, kmemleak)'
	@echo 'FLAVOUR=cfi      with a kernel that checks the type of each call by a pointer'
	@echo 'IMPL=c           with the stock C modules'
	@echo 'KDIR=<path>      with a kernel tree of your own'

env kernel check vm fmt in-tree-check:
	@$(LAB) $@

ifneq ($(EXTERNAL),)
modules:
	@LLVM=$(LLVM) scripts/check-kernel.sh "$(KDIR)"
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" LLVM=$(LLVM) modules

# As the kernel's own: to updates/ below the kernel's lib/modules/<release>.
modules_install:
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" LLVM=$(LLVM) modules_install
else
modules:
	@$(LAB) $@

modules_install:
	@echo "$@ needs KDIR=, a kernel that has been built, such as /lib/modules/$$(uname -r)/build" >&2
	@exit 1
endif

patches:
	@$(SERIES) patches "$(or $(KDIR),$(error $@ needs KDIR=, a kernel source tree))" \
		--output "$(PATCHES)" --check

in-tree:
	@$(SERIES) in-tree "$(or $(KDIR),$(error $@ needs KDIR=, a kernel source tree))"

# The programs that the lab finds beside the selftests, some under another name.
NAME = $@
c-hazards: NAME = hazards
iscsi-test: NAME = iscsi
OPTIONS = $(and $(COUNT),--count $(COUNT)) $(and $(FABRIC),--fabric $(FABRIC))
OPTIONS += $(addprefix --seed ,$(or $(SOAK_SEED),$(SEED)))
OPTIONS += $(addprefix --seconds ,$(or $(SOAK_SECONDS),$(SECONDS)))

.DEFAULT:
	@$(LAB) run $(NAME) -- $(OPTIONS)

clean:
	@$(LAB) clean
	@rm -rf tools/target host/target

distclean: clean
	@$(LAB) distclean

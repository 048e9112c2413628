# SPDX-License-Identifier: GPL-2.0
#
# Entry points for people. Kbuild reads the file Kbuild instead of this one.
#
#   FLAVOUR=fast|debug|cfi  which kernel (default: fast)
#   IMPL=rust|c             whose modules the tests load (default: rust)
#   KDIR=<path>             a kernel tree of your own instead of Debian's
#
# When KDIR is a kernel that has been built, "make modules" and "make
# modules_install" use it as it is, without tools/lab: see Documentation/install.rst.

LAB := $(CURDIR)/tools/lab/lab
SERIES := $(CURDIR)/scripts/patches/series.py

# For make patches.
PATCHES ?= patches

# How to call the kernel's make; LLVM=-22 or LLVM=/usr/lib/llvm-22/bin/ choose a version.
LLVM ?= 1

# Not empty: build against KDIR as it is.
EXTERNAL ?= $(and $(KDIR),$(wildcard $(KDIR)/include/config/auto.conf))

# For make soak.
SOAK_SECONDS ?= 600

export FLAVOUR IMPL KDIR

.PHONY: help env kernel modules modules_install patches in-tree in-tree-check
.PHONY: check c-hazards iscsi-test demo clients leak fuzz kills memory soak vm fmt clean distclean

help:
	@echo 'make env        build what is missing and print where it is'
	@echo 'make kernel     build the kernel that the modules are built against'
	@echo 'make modules    build the modules'
	@echo 'make modules KDIR=<built kernel>          build them against it, without the lab'
	@echo 'make modules_install KDIR=<built kernel>  install those, below INSTALL_MOD_PATH'
	@echo 'make patches KDIR=<kernel source>         write a series of patches to PATCHES='
	@echo 'make in-tree KDIR=<kernel source>         apply that series there'
	@echo 'make in-tree-check                        build and boot that form'
	@echo 'make check      run all checks; the last line is "N passed, M failed"'
	@echo 'make demo       boot a virtual machine and show a command being aborted'
	@echo 'make leak       1,000 cycles of devices and reloads of modules: memory must stay flat'
	@echo 'make soak       10 minutes of commands, aborts, resets and preempts, all of them counted'
	@echo 'make fuzz       a daemon that attacks: 1,000,000 spoiled completions on the debug kernel'
	@echo '                (COUNT=, SEED=, SECONDS=, FLAVOUR=fast; FABRIC=loopback|both: commands are'
	@echo '                given up by the SCSI layer too, not only over iSCSI)'
	@echo 'make kills      500 times SIGKILL of the daemon under verified input and output (COUNT=, SEED=)'
	@echo 'make c-hazards  what the stock C modules do in the tests that make check spares them'
	@echo 'make memory     kernel memory for each command in flight, Rust and C'
	@echo 'make clients    a session of targetcli and tcmu-runner, for Rust and for C'
	@echo 'make iscsi-test libiscsi'"'"'s iscsi-test-cu against Rust and C, compared test by test'
	@echo 'make vm         a shell in the virtual machine'
	@echo 'make fmt        format all Rust files'
	@echo 'make clean      remove what was built from this checkout'
	@echo 'make distclean  clean, and remove the cache: kernels, sources, tools'
	@echo
	@echo 'FLAVOUR=debug   with the debug kernel (KASAN, lockdep, kmemleak)'
	@echo 'FLAVOUR=cfi     with a kernel that checks the type of each function called by a pointer'
	@echo 'IMPL=c          make check against the stock C modules'
	@echo 'SOAK_SECONDS=<n> SOAK_SEED=<n>  how long make soak is, and a run to repeat'
	@echo 'KDIR=<path>     with a kernel tree of your own'

env kernel check clients c-hazards iscsi-test leak memory vm in-tree-check:
	@$(LAB) $@

soak:
	@$(LAB) $@ --seconds $(SOAK_SECONDS) $(and $(SOAK_SEED),--seed $(SOAK_SEED))

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

demo:
	@$(LAB) demo

fuzz:
	@$(LAB) fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(FABRIC),--fabric $(FABRIC))

kills:
	@$(LAB) kills $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

fmt:
	@$(LAB) fmt

clean:
	@$(LAB) clean
	@rm -rf tools/target

distclean: clean
	@$(LAB) distclean

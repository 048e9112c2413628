# SPDX-License-Identifier: GPL-2.0
#
# Entry points for people. Kbuild reads the file Kbuild instead of this one.
#
#   FLAVOUR=fast|debug   which kernel (default: fast)
#   IMPL=rust|c          whose modules the tests load (default: rust)
#   KDIR=<path>          a kernel tree of your own instead of Debian's

LAB := $(CURDIR)/tools/lab/lab

export FLAVOUR IMPL KDIR

.PHONY: help env kernel modules check demo vm fmt clean distclean

help:
	@echo 'make env        build what is missing and print where it is'
	@echo 'make kernel     build the kernel that the modules are built against'
	@echo 'make modules    build the modules'
	@echo 'make check      run all checks; the last line is "N passed, M failed"'
	@echo 'make demo       boot a virtual machine and show a command being aborted'
	@echo 'make vm         a shell in the virtual machine'
	@echo 'make fmt        format all Rust files'
	@echo 'make clean      remove what was built from this checkout'
	@echo 'make distclean  clean, and remove the cache: kernels, sources, tools'
	@echo
	@echo 'FLAVOUR=debug   with the debug kernel (KASAN, lockdep, kmemleak)'
	@echo 'IMPL=c          make check against the stock C modules'
	@echo 'KDIR=<path>     with a kernel tree of your own'

env kernel modules check vm:
	@$(LAB) $@

demo:
	@$(LAB) demo

fmt:
	@$(LAB) fmt

clean:
	@$(LAB) clean
	@rm -rf tools/target

distclean: clean
	@$(LAB) distclean

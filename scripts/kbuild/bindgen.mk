# SPDX-License-Identifier: GPL-2.0
#
# Bindings of a subsystem's C headers for its Rust crates: what the kernel
# crate's own bindings do not have. A Kbuild file sets these and includes this
# file; all but the first two may be left out.
#
#   rust-crates-y	objects of the Rust crates, below $(obj) (also rust-crates-m)
#   bindings-header	C header that includes all that is wanted
#   bindings-files	headers whose items become bindings: patterns of the end
#			of their path. Types of other headers are taken from the
#			kernel crate
#   bindings-items	options of bindgen that choose single items of other headers
#   bindings-cflags	options of the C compiler
#   private-source	a C file, perhaps a generated one
#   private-types	structs and enums that only that file defines
#   private-opaque	the same, for those of which only pointers are used
#   private-vars	variables and macros of that file
#
# bindings-files and bindings-items of the generic layer are in
# rust/ext/Makefile.bindgen and need not be repeated. A crate chooses the parts
# of that layer that it uses:
#
#   RUSTFLAGS_tcmu/tcmu.o = $(call rust-ext,page uio work)
#
# A crate finds the bindings with include!(env!("RUST_BINDINGS")), those of
# private-types with include!(env!("RUST_PRIVATE_BINDINGS")), in a module of
# their own that uses the first one's. rustc names what is still missing.

bindings-rs	:= $(obj)/bindings_generated.rs
private-rs	:= $(obj)/private_generated.rs
rust-crates	:= $(addprefix $(obj)/,$(rust-crates-y) $(rust-crates-m))

include $(srcroot)/rust/ext/Makefile.bindgen

ifneq ($(rust-crates),)
ifdef CONFIG_CC_IS_GCC
$(error $(obj): bindgen reads C with libclang, which does not know gcc's options: \
	take a kernel that was built with clang (LLVM=1))
endif
endif

empty :=
space := $(empty) $(empty)

# A pattern for any of the words.
any-of = ($(subst $(space),|,$(strip $(1))))

# Options that all bindings share; the kernel crate is made with the same file.
bindgen-options = --rust-target 1.85 --no-recursive-allowlist		\
	$(shell grep -Ev '^\#|^$$' $(srctree)/rust/bindgen_parameters)	\
	--use-core --with-derive-default --ctypes-prefix ffi		\
	--no-layout-tests --no-debug '.*'				\
	--enable-function-attribute-detection

bindgen-cflags = $(filter-out $(CC_FLAGS_LTO),$(c_flags)) $(bindings-cflags) \
	-w -fno-builtin -D__BINDGEN__ -DMODULE

# As in the kernel crate, helpers are called without their prefix.
quiet_cmd_bindings = BINDGEN $@
      cmd_bindings = $(BINDGEN) $< $(bindgen-options)			\
	$(foreach file,$(ext-bindings-files) $(bindings-files),		\
		--allowlist-file '.*/$(file)')				\
	$(ext-bindings-items) $(bindings-items)				\
	-o $@ -- $(bindgen-cflags);					\
	sed -Ei 's/pub fn rust_helper_([a-zA-Z0-9_]*)/\#[link_name="rust_helper_\1"]\n    pub fn \1/g' $@

targets += $(notdir $(bindings-rs))
$(bindings-rs): $(bindings-header) FORCE
	$(call if_changed_dep,bindings)

$(rust-crates): private export RUST_BINDINGS = $(abspath $(bindings-rs))
$(rust-crates): $(bindings-rs)

ifneq ($(private-source),)

# Structs within them that have no name are named after them by bindgen.
quiet_cmd_private_bindings = BINDGEN $@
      cmd_private_bindings = $(BINDGEN) $< $(bindgen-options)		\
	--allowlist-type '$(call any-of,$(private-types) $(private-opaque))(__bindgen_ty_.*)?' \
	$(if $(private-opaque),--opaque-type '$(call any-of,$(private-opaque))')	\
	$(if $(private-vars),--allowlist-var '$(call any-of,$(private-vars))')	\
	-o $@ -- $(bindgen-cflags)

targets += $(notdir $(private-rs))
$(private-rs): $(private-source) FORCE
	$(call if_changed_dep,private_bindings)

$(rust-crates): private export RUST_PRIVATE_BINDINGS = $(abspath $(private-rs))
$(rust-crates): $(private-rs)

endif

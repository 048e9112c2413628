#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Says whether this project's modules can be built against a kernel, and if not,
# each reason and what to do about it on one line.
#
# usage: check-kernel.sh KDIR
#
# KDIR      a kernel tree that was built in place, or the output folder of a
#           build, such as /lib/modules/$(uname -r)/build
# KSRC      kernel source of the same version, if KDIR comes without the C files
#           of the target
# LLVM      as for the kernel's make: 1, -22 or /usr/lib/llvm-22/bin/
# RUSTC, BINDGEN
#           other commands than rustc and bindgen

here=$(cd "$(dirname "$0")/.." && pwd)
series=7.3
bindgen_oldest=0.71.1
give="give a built kernel, such as /lib/modules/\$(uname -r)/build"
failures=0

# wrong PROBLEM ADVICE
wrong() {
	echo "check-kernel: $1; $2" >&2
	failures=$((failures + 1))
}

# The same, and the end: what comes next would only be a consequence.
hopeless() {
	wrong "$1" "$2"
	exit 1
}

# config SYMBOL: its value in the kernel's configuration, empty if not set.
config() {
	sed -n "s/^CONFIG_$1=//p" "$kdir/include/config/auto.conf" | tr -d '"'
}

# numbers VERSION: 7.3.4 as 7003004, so that versions can be compared.
numbers() {
	echo "$1" | sed 's/[^0-9.].*//' | awk -F. '{ print $1 * 1000000 + $2 * 1000 + $3 }'
}

check_kernel() {
	[ -d "$kdir" ] || hopeless "'$kdir' is no directory" "$give"
	[ -f "$kdir/Makefile" ] || hopeless "'$kdir' has no Makefile" "$give"
	[ -f "$kdir/include/config/auto.conf" ] ||
		hopeless "'$kdir' has not been configured and built (no include/config/auto.conf)" \
			"build the kernel there, or give the output folder of its build"
	release=$(cat "$kdir/include/config/kernel.release" 2> /dev/null)
	case $release in
	"$series" | "$series".* | "$series"-* | "$series"+*) ;;
	*)
		hopeless "'$kdir' is a kernel of release '$release'" \
			"these modules are for $series: take such a kernel"
		;;
	esac
}

# has_optional ?SYMBOL=m...: whether the kernel has the module that one is to replace.
has_optional() {
	symbol=${1#\?}
	[ "$(config "${symbol%%=*}")" = m ]
}

# modules: name, folder and needs of those that are to be built, from scripts/kbuild/modules.
# make puts the switches into the environment.
modules() {
	grep '^[a-z]' "$here/scripts/kbuild/modules" | while read -r name switch folder needs; do
		eval "value=\$$switch"
		if [ -z "$value" ] && [ "${needs#\?}" != "$needs" ]; then
			has_optional "$needs" || value=n
		fi
		[ "$value" = n ] || echo "$name $folder ${needs#\?}"
	done
}

# need SYMBOL|SYMBOL=m|SYMBOL!=y MODULE: whether the configuration has what the module needs.
need() {
	symbol=${1%%[!A-Z0-9_]*}
	value=$(config "$symbol")
	case $1 in
	*=m | *!=y)
		if [ "$value" = y ]; then
			wrong "kernel $release has $symbol built in (CONFIG_$symbol=y)" \
				"set it to m, or use the in-tree form: no module can replace it"
		elif [ -z "$value" ] && [ "$1" = "$symbol=m" ]; then
			wrong "kernel $release has no CONFIG_$symbol" \
				"set it to m: it brings what $2 uses"
		fi
		;;
	*)
		[ -n "$value" ] ||
			wrong "kernel $release has no CONFIG_$symbol" "set it: $2 uses it"
		;;
	esac
}

# Each need once, whoever has it.
check_needs() {
	seen=' '
	while read -r name _folder needs; do
		for each in $needs; do
			case $seen in
			*" $each "*) ;;
			*) need "$each" "$name" ;;
			esac
			seen="$seen$each "
		done
	done <<-END
		$(modules)
	END
}

check_configuration() {
	[ "$(config RUST)" = y ] ||
		wrong "kernel $release was built without CONFIG_RUST" \
			"set it ('make LLVM=1 rustavailable' says what it needs) and build it again"
	[ "$(config CC_IS_CLANG)" = y ] ||
		wrong "kernel $release was built with gcc, whose options bindgen cannot follow" \
			"build it with clang (make LLVM=1)"
	[ "$(config 64BIT)" = y ] ||
		wrong "kernel $release has no CONFIG_64BIT" "take a 64 bit kernel"
	[ "$(config MODULES)" = y ] || wrong "kernel $release has no CONFIG_MODULES" "set it"
	check_needs
	[ -s "$kdir/Module.symvers" ] ||
		wrong "'$kdir' has no Module.symvers" "build the whole kernel there (make LLVM=1)"
}

# The metadata of Rust crates fits exactly the compiler that made it.
check_rust() {
	[ "$(config RUST)" = y ] || return
	missing=
	for file in core compiler_builtins ffi build_error pin_init zerocopy \
		bindings uapi kernel; do
		[ -f "$kdir/rust/lib$file.rmeta" ] || missing="$missing lib$file.rmeta"
	done
	for file in macros pin_init_internal zerocopy_derive; do
		[ -f "$kdir/rust/lib$file.so" ] || missing="$missing lib$file.so"
	done
	[ -z "$missing" ] ||
		wrong "'$kdir/rust' lacks$missing" \
			"give the folder where the kernel was built: headers packages may lack them"

	rustc=${RUSTC:-rustc}
	wanted=$(config RUSTC_VERSION_TEXT)
	if ! command -v "$rustc" > /dev/null; then
		wrong "there is no '$rustc' in PATH" \
			"install $wanted, which the kernel was built with"
		return
	fi
	have=$("$rustc" --version 2>&1)
	if [ "$have" != "$wanted" ]; then
		wrong "kernel $release was built with '$wanted', but '$rustc' is '$have'" \
			"install that version and name it with RUSTC="
	fi
}

# check_bindgen: found, new enough, and with a libclang that it can load.
check_bindgen() {
	bindgen=${BINDGEN:-bindgen}
	if ! command -v "$bindgen" > /dev/null; then
		wrong "there is no '$bindgen' in PATH" "install it with 'cargo install bindgen-cli'"
		return
	fi
	have=$("$bindgen" --version 2> /dev/null | sed -n 's/^bindgen \([0-9.]*\).*/\1/p')
	if [ -z "$have" ] || [ "$(numbers "$have")" -lt "$(numbers $bindgen_oldest)" ]; then
		wrong "'$bindgen' has the version '$have', which is older than $bindgen_oldest" \
			"update it with 'cargo install bindgen-cli'"
		return
	fi
	"$bindgen" "$here/scripts/check-libclang.h" > /dev/null 2>&1 ||
		wrong "'$bindgen' finds no libclang" \
			"install libclang and name its folder with LIBCLANG_PATH="
}

# check_spatch: for the modules whose C files are changed before they are compiled.
check_spatch() {
	needs=
	while read -r name folder _needs; do
		[ -z "$(list "$here/$folder/Kbuild" spatch-objs)" ] || needs=$name
	done <<-END
		$(modules)
	END
	[ -z "$needs" ] || command -v "${SPATCH:-spatch}" > /dev/null ||
		wrong "there is no '${SPATCH:-spatch}' in PATH, which $needs is built with" \
			"install Coccinelle (Debian: coccinelle), or leave that module out"
}

check_llvm() {
	case ${LLVM:-1} in
	*/)
		prefix=$LLVM suffix=''
		;;
	-*)
		prefix='' suffix=$LLVM
		;;
	*)
		prefix='' suffix=''
		;;
	esac
	missing=
	for program in clang ld.lld llvm-ar llvm-link llvm-nm llvm-objcopy; do
		command -v "$prefix$program$suffix" > /dev/null ||
			missing="$missing $prefix$program$suffix"
	done
	[ -z "$missing" ] ||
		wrong "these are not in PATH:$missing" \
			"install clang, lld and llvm, or choose with LLVM=-22 or LLVM=<folder>/"
}

# The source tree of a kernel that was built in another folder.
source_of() {
	if [ -d "$1/rust/kernel" ] && [ -f "$1/Kbuild" ]; then
		echo "$1"
	else
		sed -n 's/^include \(.*\)\/Makefile$/\1/p' "$1/Makefile" | head -n 1
	fi
}

# list FILE VARIABLE: the words of a variable in a file of Kbuild, and of VARIABLE-$(CONFIG_...).
list() {
	awk -v name="$2" '
		index($1, name) == 1 && $2 == ":=" { on = 1; $1 = $2 = "" }
		on { on = sub(/\\$/, ""); for (i = 1; i <= NF; i++) if ($i != "") print $i }
	' "$1"
}

# tree_files: what the modules need of the kernel source: C files that mixed modules are
# made of, and private headers in the input of bindgen.
tree_files() {
	while read -r name folder _needs; do
		kbuild=$here/$folder/Kbuild
		dir=$(list "$kbuild" tree-dir)
		if [ "$(list "$kbuild" mixed-module)" = "$name" ]; then
			for object in $(list "$kbuild" tree-objs); do
				echo "$dir/${object%.o}.c"
			done
		fi
		for header in "$here/$folder/bindings.h" "$here/$folder"/*/bindings.h; do
			[ -f "$header" ] || continue
			sed -n "s|^#include \"\([^/]*\)\"\$|$dir/\1|p" "$header"
		done
	done <<-END
		$(modules)
	END
}

check_sources() {
	source=${KSRC:-$(source_of "$kdir")}
	missing=
	for file in $(tree_files); do
		[ -f "$source/$file" ] || missing=$file
	done
	if [ -n "$missing" ]; then
		wrong "'$source' has no $missing" \
			"unpack the kernel source of $release and name it with KSRC="
	elif [ -n "$KSRC" ]; then
		version=$(sed -nE 's/^(VERSION|PATCHLEVEL|SUBLEVEL) = //p' "$KSRC/Makefile" |
			paste -s -d .)
		case $release in
		"$version" | "$version"[!0-9]*) ;;
		*)
			wrong "KSRC='$KSRC' is Linux $version, but the kernel is $release" \
				"take the source of the same version"
			;;
		esac
	fi
}

if [ $# -ne 1 ]; then
	echo "usage: check-kernel.sh KDIR" >&2
	exit 2
fi
kdir=$1

check_kernel
check_configuration
check_rust
check_bindgen
check_spatch
check_llvm
check_sources
[ $failures -eq 0 ] || exit 1
echo "check-kernel: kernel $release can take the modules"

# SPDX-License-Identifier: GPL-2.0
"""scripts/check-kernel.sh against made-up kernels and compilers."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from lablib.base import CHECKOUT

_PROBE = CHECKOUT / "scripts" / "check-kernel.sh"

_RUSTC = "rustc 1.95.0 (59807616e 2026-04-14)"

_CONFIG = {
    "64BIT": "y", "MODULES": "y", "RUST": "y", "CC_IS_CLANG": "y", "NET": "y", "UIO": "m",
    "TARGET_CORE": "m", "TCM_USER2": "m", "RUSTC_VERSION_TEXT": f'"{_RUSTC}"',
}  # fmt: skip

_RMETA = ("core", "compiler_builtins", "ffi", "build_error", "pin_init", "zerocopy", "bindings",
          "uapi", "kernel")  # fmt: skip
_MACROS = ("macros", "pin_init_internal", "zerocopy_derive")

_LLVM = ("clang", "ld.lld", "llvm-ar", "llvm-link", "llvm-nm", "llvm-objcopy")

#: What the probe itself calls.
_NEEDED = ("sh", "sed", "awk", "grep", "tr", "cat", "head", "paste", "dirname")

_MAKEFILE = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n"


def _tree_sources(folder: str) -> list[str]:
    """The kernel's C files of `folder` that the external build compiles."""
    text = (CHECKOUT / folder / "Kbuild").read_text(encoding="utf-8")
    blocks = re.findall(r"^tree-objs\S*\s*:=(.*?[^\\])$", text, re.M | re.S)
    names = re.findall(r"\S+\.o", " ".join(blocks))
    assert names
    return [f"{folder}/{name[:-2]}.c" for name in names]


#: What modules are made of, and headers that they need.
_SOURCES = (
    *_tree_sources("drivers/target"), "drivers/target/target_core_internal.h",
    "drivers/target/target_core_alua.h", "drivers/target/target_core_pr.h",
    *_tree_sources("net/sunrpc/xprtrdma"), "net/sunrpc/xprtrdma/xprt_rdma.h",
)  # fmt: skip


class ProbeTest(unittest.TestCase):
    """A kernel that can take the modules, and what is said of each thing that it lacks."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.source = self.top / "src"
        self.build = self.top / "build"
        self.bin = self.top / "bin"
        self._make_source(self.source)
        self._write(self.build / "Makefile", f"include {self.source}/Makefile\n")
        self._write(self.build / "Module.symvers", "0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n")
        self._write(self.build / "include/config/kernel.release", "7.3.4\n")
        self.configure()
        for name in [f"lib{crate}.rmeta" for crate in _RMETA] + [f"lib{crate}.so" for crate in _MACROS]:
            self._write(self.build / "rust" / name, "")
        self.program("rustc", f"echo '{_RUSTC}'")
        self.program("bindgen", 'case $1 in --version) echo "bindgen 0.72.1" ;; esac')
        for name in (*_LLVM, "spatch"):
            self.program(name, "exit 0")
        for name in _NEEDED:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _make_source(self, folder: Path, makefile: str = _MAKEFILE) -> None:
        self._write(folder / "Makefile", makefile)
        for name in _SOURCES:
            self._write(folder / name, "")

    def configure(self, **changes: str | None) -> None:
        """Writes auto.conf with `changes`; None leaves a symbol out."""
        config = {**_CONFIG, **changes}
        lines = [f"CONFIG_{name}={value}\n" for name, value in config.items() if value is not None]
        self._write(self.build / "include/config/auto.conf", "".join(lines))

    def program(self, name: str, script: str) -> None:
        """Puts a program into the only folder of PATH."""
        self._write(self.bin / name, f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def probe(self, kdir: Path | None = None, **environment: str) -> tuple[int, list[str]]:
        """Exit status, and the lines on standard error without their prefix."""
        done = subprocess.run(
            [str(_PROBE), str(kdir or self.build)], env={"PATH": str(self.bin), **environment},
            check=False, text=True, capture_output=True, timeout=120,
        )  # fmt: skip
        if done.returncode == 0:
            self.assertEqual(done.stdout, "check-kernel: kernel 7.3.4 can take the modules\n")
        else:
            self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        for line in lines:
            self.assertRegex(line, r"^check-kernel: .+; .+")
        return done.returncode, [line.removeprefix("check-kernel: ") for line in lines]

    def refused(self, *patterns: str, kdir: Path | None = None, **environment: str) -> None:
        """The probe says these lines and no others."""
        status, lines = self.probe(kdir, **environment)
        self.assertEqual(status, 1, lines)
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns, strict=True):
            self.assertRegex(line, pattern)

    def test_good_kernel(self) -> None:
        self.assertEqual(self.probe(), (0, []))

    def test_kernel_built_in_place(self) -> None:
        (self.source / "rust").mkdir()
        for name in ("include", "rust", "Module.symvers"):
            shutil.rmtree(self.source / name, ignore_errors=True)
            os.rename(self.build / name, self.source / name)
        (self.source / "rust/kernel").mkdir()
        self._write(self.source / "Kbuild", "")
        self.assertEqual(self.probe(self.source), (0, []))

    def test_usage(self) -> None:
        done = subprocess.run([str(_PROBE)], check=False, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 2)

    def test_no_kernel(self) -> None:
        self.refused("is no directory; give a built kernel", kdir=self.top / "none")
        self.refused("has no Makefile; give a built kernel", kdir=self.bin)
        self.refused("has not been configured and built", kdir=self.source)

    def test_release(self) -> None:
        release = self.build / "include/config/kernel.release"
        for good in ("7.3.4", "7.3", "7.3.4-rc1", "7.3.4+deb13-amd64"):
            release.write_text(good)
            with self.subTest(release=good):
                done = subprocess.run(
                    [str(_PROBE), str(self.build)], env={"PATH": str(self.bin)},
                    check=False, capture_output=True, timeout=120,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0)
        for bad in ("7.30.1", "6.12.9", "17.3.1", ""):
            release.write_text(bad)
            with self.subTest(release=bad):
                self.refused(f"release '{bad}'; these modules are for 7.3")

    def test_no_rust(self) -> None:
        # rustc and metadata would be missing too; the reason is said once.
        self.configure(RUST=None, RUSTC_VERSION_TEXT=None)
        shutil.rmtree(self.build / "rust")
        self.refused("without CONFIG_RUST; set it")

    def test_gcc(self) -> None:
        self.configure(CC_IS_CLANG=None)
        self.refused(r"built with gcc.*make LLVM=1")

    def test_built_in(self) -> None:
        self.configure(TARGET_CORE="y", TCM_USER2="y")
        self.refused(r"CONFIG_TARGET_CORE=y\); set it to m", r"CONFIG_TCM_USER2=y\); set it to m")

    def test_missing_options(self) -> None:
        for name in ("64BIT", "MODULES", "TARGET_CORE", "UIO", "NET"):
            with self.subTest(symbol=name):
                self.configure(**{name: None})
                self.refused(f"has no CONFIG_{name}; ")
        # What replaces it is built in any case.
        self.configure(TCM_USER2=None)
        self.assertEqual(self.probe(), (0, []))

    def test_module_that_is_left_out(self) -> None:
        self.configure(TCM_USER2="y", UIO=None)
        self.refused(r"CONFIG_TCM_USER2=y\); set it to m", "CONFIG_UIO; set it: target_core_user")
        self.assertEqual(self.probe(CONFIG_TCM_USER2_RUST="n"), (0, []))
        self.configure()
        (self.source / "drivers/target/target_core_sbc.c").unlink()
        self.refused(r"has no drivers/target/target_core_sbc\.c; ")
        self.assertEqual(self.probe(CONFIG_TARGET_CORE_TMR_RUST="n"), (0, []))

    def test_module_that_the_kernel_does_not_have(self) -> None:
        rust = "CONFIG_SUNRPC_XPRT_RDMA_SENDCTX_RUST"
        lacks = "has no CONFIG_SUNRPC_XPRT_RDMA; "
        wrong = {None: lacks, "y": r"CONFIG_SUNRPC_XPRT_RDMA=y\); set it to m"}
        for value, message in wrong.items():
            with self.subTest(value=value):
                self.configure(SUNRPC_XPRT_RDMA=value)
                self.assertEqual(self.probe(), (0, []))
                self.refused(message, **{rust: "y"})
        self.configure(SUNRPC_XPRT_RDMA="m")
        self.assertEqual(self.probe(), (0, []))
        (self.source / "net/sunrpc/xprtrdma/verbs.c").unlink()
        self.refused(r"has no net/sunrpc/xprtrdma/verbs\.c; ")
        self.assertEqual(self.probe(**{rust: "n"}), (0, []))

    def test_no_spatch(self) -> None:
        (self.bin / "spatch").unlink()
        self.assertEqual(self.probe(), (0, []))
        self.configure(SUNRPC_XPRT_RDMA="m")
        self.refused("no 'spatch' in PATH, which rpcrdma is built with; install Coccinelle")
        self.program("other", "exit 0")
        self.assertEqual(self.probe(SPATCH="other"), (0, []))

    def test_header_of_a_subfolder(self) -> None:
        self.configure(SUNRPC_XPRT_RDMA="m")
        (self.source / "net/sunrpc/xprtrdma/xprt_rdma.h").unlink()
        self.refused(r"has no net/sunrpc/xprtrdma/xprt_rdma\.h; ")

    def test_no_symvers(self) -> None:
        (self.build / "Module.symvers").write_text("")
        self.refused("no Module.symvers; build the whole kernel")

    def test_metadata(self) -> None:
        (self.build / "rust/libkernel.rmeta").unlink()
        (self.build / "rust/libmacros.so").unlink()
        self.refused("/rust' lacks libkernel.rmeta libmacros.so; ")

    def test_other_rustc(self) -> None:
        self.program("rustc", "echo 'rustc 1.96.0 (0123456 2026-06-01)'")
        self.refused(r"built with 'rustc 1\.95\.0 .*', but 'rustc' is 'rustc 1\.96\.0.*'; install")
        self.program("rustc-1.95", f"echo '{_RUSTC}'")
        self.assertEqual(self.probe(RUSTC="rustc-1.95"), (0, []))

    def test_broken_rustc(self) -> None:
        self.program("rustc", "echo 'error: no override and no default toolchain set' >&2; exit 1")
        self.refused("'rustc' is 'error: no override")

    def test_no_rustc(self) -> None:
        (self.bin / "rustc").unlink()
        self.refused(r"no 'rustc' in PATH; install rustc 1\.95\.0")

    def test_bindgen(self) -> None:
        self.program("bindgen", "echo 'bindgen 0.65.1'")
        self.refused(r"version '0\.65\.1', which is older than 0\.71\.1; update")
        self.program("bindgen", "echo 'bindgen 1.0.0'")
        self.assertEqual(self.probe(), (0, []))
        (self.bin / "bindgen").unlink()
        self.refused("no 'bindgen' in PATH; install")

    def test_no_libclang(self) -> None:
        self.program("bindgen", '[ "$1" = --version ] && echo "bindgen 0.72.1"')
        self.refused("finds no libclang; install libclang")

    def test_llvm(self) -> None:
        (self.bin / "ld.lld").unlink()
        self.refused("not in PATH: ld.lld; install clang, lld and llvm")
        self.refused("not in PATH:( [a-z.-]+-22){6}; ", LLVM="-22")
        for name in _LLVM:
            self.program(f"{name}-22", "exit 0")
        self.assertEqual(self.probe(LLVM="-22"), (0, []))

    def test_no_sources(self) -> None:
        shutil.rmtree(self.source / "drivers")
        self.refused(r"has no drivers/target/target_core_\w+\.h; unpack the kernel source of 7\.3\.4 .*KSRC=")
        other = self.top / "other"
        self._make_source(other)
        self.assertEqual(self.probe(KSRC=str(other)), (0, []))
        (other / "drivers/target/target_core_sbc.c").unlink()
        self.refused(r"has no drivers/target/target_core_sbc\.c; ", KSRC=str(other))

    def test_sources_of_another_version(self) -> None:
        other = self.top / "other"
        self._make_source(other, _MAKEFILE.replace("= 4", "= 40"))
        self.refused(r"is Linux 7\.3\.40, but the kernel is 7\.3\.4; take", KSRC=str(other))

    def test_all_reasons_at_once(self) -> None:
        self.configure(CC_IS_CLANG=None)
        (self.bin / "bindgen").unlink()
        (self.build / "rust/libcore.rmeta").unlink()
        self.refused("with gcc", "lacks libcore.rmeta", "no 'bindgen'")


if __name__ == "__main__":
    unittest.main()

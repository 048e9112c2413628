# SPDX-License-Identifier: GPL-2.0
"""Configuration fragments, and the keys of the cache."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import kconfig, kernel, vm
from lablib.base import Cache, LabError, file_name, key
from lablib.kernel import Kernel
from lablib.sources import KernelSource


class VerifyTest(unittest.TestCase):
    """Every line of a fragment must have taken effect."""

    @staticmethod
    def missing(fragment: str, config: str) -> list[str]:
        """What the fragment asks for and the configuration does not have."""
        return kconfig.not_in_effect(kconfig.parse(fragment), config)

    def test_all_in_effect(self) -> None:
        fragment = "# comment\nCONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n"
        self.assertEqual(self.missing(fragment, "CONFIG_A=y\nCONFIG_B=m\n"), [])

    def test_missing_symbol(self) -> None:
        self.assertEqual(self.missing("CONFIG_A=y\n", ""), ["CONFIG_A: wanted y, got n"])

    def test_other_value(self) -> None:
        self.assertEqual(
            self.missing("CONFIG_A=m\n", "CONFIG_A=y\n"), ["CONFIG_A: wanted m, got y"]
        )

    def test_unwanted_symbol(self) -> None:
        self.assertEqual(
            self.missing("# CONFIG_A is not set\n", "CONFIG_A=y\n"),
            ["CONFIG_A: wanted n, got y"],
        )

    def test_prefix_of_another_symbol_is_not_enough(self) -> None:
        self.assertEqual(len(self.missing("CONFIG_A=y\n", "CONFIG_AB=y\n")), 1)

    def test_later_line_wins(self) -> None:
        self.assertEqual(kconfig.parse("CONFIG_A=y\nCONFIG_A=m\n"), {"CONFIG_A": "m"})

    def test_malformed_line(self) -> None:
        with self.assertRaisesRegex(LabError, "line 2"):
            kconfig.parse("CONFIG_A=y\nCONFIG B=y\n")

    def test_shipped_fragments(self) -> None:
        fast, debug = (kconfig.settings(kconfig.fragments(name)) for name in ("fast", "debug"))
        self.assertNotIn("CONFIG_KASAN", fast)
        self.assertLess(fast.items(), debug.items())

    def test_cfi_is_the_fast_kernel_with_checks_that_stop_it(self) -> None:
        fast, cfi = (kconfig.settings(kconfig.fragments(name)) for name in ("fast", "cfi"))
        self.assertLess(fast.items(), cfi.items())
        self.assertEqual(cfi["CONFIG_CFI"], "y")
        # A mere warning, or checks that the boot replaces, would be another kernel.
        for symbol in ("CONFIG_CFI_PERMISSIVE", "CONFIG_X86_KERNEL_IBT"):
            self.assertEqual(cfi[symbol], "n")


class TakeOverTest(unittest.TestCase):
    """A build of the same things under another name is not made again."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.builds = Path(folder.name)
        self.source = KernelSource(self.builds / "src", "7.3.4", users=False)
        self.old = self.builds / "fast-old"
        self.old.mkdir()
        for name, text in (
            ("lab.config", "CONFIG_A=y\n# CONFIG_B is not set\n"),
            (".config", 'CONFIG_CC_VERSION_TEXT="clang 22"\n'),
            ("Makefile", f"include {self.source.path}/Makefile\n"),
            (".lab-complete", "7.3.4\n"),
        ):
            (self.old / name).write_text(text, encoding="utf-8")

    def taken_over(self, compiler: str = "clang 22", **settings: str) -> Path:
        """What the new name stands for."""
        wanted = {"CONFIG_A": "y", "CONFIG_B": "n", **settings}
        with mock.patch.object(kernel, "toolchain", return_value=[compiler]):
            kernel._take_over(self.builds / "fast-new", "fast", self.source, wanted)
        return (self.builds / "fast-new").resolve()

    def test_the_same_things(self) -> None:
        self.assertEqual(self.taken_over(), self.old.resolve())

    def test_other_things(self) -> None:
        for change in ({"compiler": "clang 23"}, {"CONFIG_A": "m"}, {"CONFIG_C": "y"}):
            with self.subTest(change):
                self.assertEqual(self.taken_over(**change).name, "fast-new")

    def test_one_that_never_ended(self) -> None:
        (self.old / ".lab-complete").unlink()
        self.assertEqual(self.taken_over().name, "fast-new")


class FlavoursTest(unittest.TestCase):
    """What differs between the flavours has a value for each of them."""

    def guest(self, flavour: str) -> vm.Guest:
        """A guest with a kernel of this flavour; there is none."""
        nowhere = Path("/nowhere")
        return vm.Guest(Kernel(nowhere, nowhere, flavour, "7.3.4", nowhere), "none")

    def test_time_of_a_guest(self) -> None:
        for flavour in kconfig.FLAVOURS:
            with (
                self.subTest(flavour),
                tempfile.TemporaryDirectory() as folder,
                mock.patch.dict(os.environ, {"LAB_ACCEL": "tcg"}),
                mock.patch.object(vm, "virtme_ng", return_value=Path("vng")),
                mock.patch.object(vm, "_wait", return_value=False) as wait,
            ):
                vm.run(Cache(Path(folder)), self.guest(flavour), ["true"], 5.0)
                self.assertGreater(wait.call_args.args[2], 5.0)


class KeyTest(unittest.TestCase):
    """What is built from different things has different names."""

    def test_depends_on_every_part(self) -> None:
        self.assertNotEqual(key("a", "b"), key("a", "c"))
        self.assertNotEqual(key("a", "b"), key("c", "b"))

    def test_boundaries_count(self) -> None:
        self.assertNotEqual(key("ab", "c"), key("a", "bc"))

    def test_is_stable(self) -> None:
        self.assertEqual(key("a", "b"), key("a", "b"))

    def test_file_name_has_no_character_that_make_treats_specially(self) -> None:
        self.assertEqual(file_name("a_7.3.4-1~bpo13+1:x y"), "a_7.3.4-1_bpo13_1_x_y")


class CacheTest(unittest.TestCase):
    """Where the cache is."""

    def test_xdg_cache_home(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": folder}):
                self.assertEqual(Cache.from_environment().root, Path(folder).resolve() / "lio-rust")

    def test_relative_xdg_cache_home_is_ignored(self) -> None:
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": "here", "HOME": "/home/somebody"}):
            self.assertEqual(Cache.from_environment().root, Path("/home/somebody/.cache/lio-rust"))

    def test_path_that_kbuild_cannot_handle(self) -> None:
        for bad in ("/tmp/a b", "/tmp/a:b", "/tmp/a#b"):
            with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": bad}):
                with self.assertRaisesRegex(LabError, "XDG_CACHE_HOME"):
                    Cache.from_environment()


if __name__ == "__main__":
    unittest.main()

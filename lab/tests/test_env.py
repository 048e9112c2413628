# SPDX-License-Identifier: GPL-2.0
"""Settings from the environment, packages, and what builds inherit."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import env, hostcheck, run, sources, tools
from lablib.base import Cache, LabError


class SettingsTest(unittest.TestCase):
    """FLAVOUR, IMPL and KDIR."""

    def test_defaults(self) -> None:
        # make exports variables that are not set as empty ones.
        with mock.patch.dict(os.environ, {"FLAVOUR": "", "IMPL": ""}):
            self.assertEqual(env.flavour_from_environment(), "fast")
            self.assertEqual(env.implementation_from_environment(), "rust")

    def test_unknown_flavour(self) -> None:
        with mock.patch.dict(os.environ, {"FLAVOUR": "slow"}):
            with self.assertRaisesRegex(LabError, "fast, debug"):
                env.flavour_from_environment()

    def test_unknown_implementation(self) -> None:
        with mock.patch.dict(os.environ, {"IMPL": "C"}):
            with self.assertRaisesRegex(LabError, "'rust' or 'c'"):
                env.implementation_from_environment()

    def test_kernel_tree_that_is_none(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(LabError, "no kernel source"):
                sources.kernel_version(Path(folder))

    def test_kernel_tree_of_the_user(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            tree = Path(name).resolve() / "tree"
            (tree / "rust" / "kernel").mkdir(parents=True)
            text = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION = -rc1\n"
            (tree / "Makefile").write_text(text)
            with mock.patch.dict(os.environ, {"KDIR": str(tree)}):
                source = sources.kernel(Cache(Path(name) / "cache"), mock.Mock())
            self.assertEqual(source, sources.KernelSource(tree, f"{tree} 7.3.4-rc1", True))

    def test_printed_kernel_tree_given_back(self) -> None:
        # As after "export $(make -s env)": it must not become another kernel.
        with tempfile.TemporaryDirectory() as name:
            cache = Cache(Path(name).resolve())
            pinned = sources.file_name(f"{sources.KERNEL_PACKAGE}_{sources.KERNEL_PINNED}")
            tree = cache.folder("src", pinned)
            with mock.patch.dict(os.environ, {"KDIR": str(tree)}):
                source = sources.kernel(cache, mock.Mock())
            self.assertEqual(source, sources.KernelSource(tree, pinned, False))


class PackagesTest(unittest.TestCase):
    """Missing packages, with and without root."""

    def test_without_root_the_command_is_named_and_nothing_is_run(self) -> None:
        with (
            mock.patch.object(tools, "missing_packages", return_value=["flex", "bison"]),
            mock.patch.object(os, "geteuid", return_value=1000),
            mock.patch.object(tools, "logged") as logged,
            self.assertRaisesRegex(LabError, "sudo apt-get install .* flex bison"),
        ):
            tools.ensure_packages(mock.Mock())
        logged.assert_not_called()

    def test_with_root_only_what_is_missing_is_installed(self) -> None:
        with (
            tempfile.TemporaryDirectory() as name,
            mock.patch.object(tools, "missing_packages", return_value=["flex"]),
            mock.patch.object(os, "geteuid", return_value=0),
            mock.patch.object(tools, "logged") as logged,
            mock.patch.object(tools, "say"),
        ):
            tools.ensure_packages(Cache(Path(name)))
        commands = [call.args[1] for call in logged.call_args_list]
        self.assertEqual([command[1] for command in commands], ["update", "install"])
        self.assertEqual(commands[1][-1], "flex")
        self.assertNotIn("bison", commands[1])

    def test_not_debian(self) -> None:
        with mock.patch.object(tools.shutil, "which", return_value=None):
            with self.assertRaisesRegex(LabError, "Debian"):
                tools.missing_packages()


class EnvironmentTest(unittest.TestCase):
    """A build must not see the settings of the make that called the lab."""

    def test_steering_variables_are_dropped(self) -> None:
        steering = {"MAKEFLAGS": "s", "KBUILD_OUTPUT": "/x", "KDIR": "/y", "O": "/z", "CC": "gcc"}
        with mock.patch.dict(os.environ, {**steering, "http_proxy": "p"}):
            clean = run.clean_environment([Path("/first")])
        self.assertEqual(set(steering) & set(clean), set())
        self.assertEqual(clean["http_proxy"], "p")
        self.assertTrue(clean["PATH"].startswith("/first:"))

    def test_failed_command_shows_the_end_of_its_output(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "log"
            command = ["sh", "-c", "echo early; echo the reason; exit 7"]
            with self.assertRaisesRegex(LabError, r"(?s)status 7.*the reason"):
                run.logged("a step", command, log)
            self.assertIn("early", log.read_text())

    def test_missing_program(self) -> None:
        with self.assertRaisesRegex(LabError, "cannot run no-such-program"):
            run.output(["no-such-program"])


class StaticTest(unittest.TestCase):
    """Static and dynamic executables are told apart."""

    def compiled(self, folder: str, *flags: str) -> Path:
        source = Path(folder) / "a.c"
        source.write_text("int main(void) { return 0; }\n")
        target = Path(folder) / "a"
        subprocess.run(["gcc", *flags, "-o", str(target), str(source)], check=True)
        return target

    def test_both_kinds(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.assertTrue(hostcheck.is_static(self.compiled(folder, "-static")))
            self.assertTrue(hostcheck.is_static(self.compiled(folder, "-static-pie")))
            self.assertFalse(hostcheck.is_static(self.compiled(folder)))

    def test_no_executable(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "a"
            script.write_text("#!/bin/sh\n")
            with self.assertRaisesRegex(LabError, "readelf"):
                hostcheck.is_static(script)


if __name__ == "__main__":
    unittest.main()

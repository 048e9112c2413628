# SPDX-License-Identifier: GPL-2.0
"""What a subsystem brings along, without a change in the lab."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import intreecheck, kconfig, kernel, project, subsystem, tools, unpack, vm
from lablib.base import Cache, LabError
from lablib.kernel import Kernel

TOML = """
packages = ["nvme-cli"]
unpacked-packages = ["nvme-daemon"]
modules = ["nvme_fc"]
own-modules = ["fcq"]
test-modules = ["nvme_fc_faults"]
"""


PROGRAM = """#!/usr/bin/env python3
# lab: timeout=100 per-second=4 tools=yes impl=both flavour=debug host=library.host
'''Many frames.

And more.
'''
"""


class SubsystemTest(unittest.TestCase):
    """The files of a new folder of selftests/."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.selftests = Path(folder.name).resolve()
        self.write("lib/py.py", "")
        self.write("nvme/Makefile", "TEST_PROGS := test_a.py\n")
        self.write("nvme/lab.toml", TOML)
        self.write("nvme/config", "CONFIG_NVME=m\nCONFIG_NVME_OURS=y\n")
        self.write("nvme/guest-init.sh", "true\n")
        self.write("nvme/stress_flood.py", PROGRAM, 0o755)
        self.write("nvme/stress_a_b.sh", "", 0o755)
        self.write("nvme/stress_data.txt", "")
        self.everything = subsystem.everything.__wrapped__(self.selftests)
        for target in (
            mock.patch.object(subsystem, "everything", return_value=self.everything),
            mock.patch.object(subsystem, "own_symbols", return_value={"CONFIG_NVME_OURS"}),
            mock.patch.object(subsystem, "SELFTESTS", self.selftests),
        ):
            target.start()
            self.addCleanup(target.stop)

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file below selftests/."""
        path = self.selftests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def test_folders(self) -> None:
        self.assertEqual([each.name for each in self.everything], ["nvme"])

    def test_packages(self) -> None:
        self.assertIn("nvme-cli", tools.wanted_packages())
        self.assertNotIn("nvme-daemon", tools.wanted_packages())
        self.assertEqual(self.everything[0].unpacked_packages, ("nvme-daemon",))

    def test_kernel_configuration(self) -> None:
        settings = kconfig.settings(kconfig.fragments("fast"))
        self.assertEqual(settings["CONFIG_NVME"], "m")
        self.assertNotIn("CONFIG_NVME_OURS", settings)
        self.assertEqual(kconfig.own_settings(), ["CONFIG_NVME_OURS=y"])

    def test_configuration_of_a_tree_with_the_sources(self) -> None:
        path = self.write("nvme/in-tree/rust.config", "CONFIG_NVME_OURS=y\n")
        form = intreecheck.Form("x", ("rust", "builtin"), "rust", module=True)
        self.assertEqual(form.fragments(), [path])
        settings = kconfig.settings(kconfig.fragments("fast", form.fragments()))
        self.assertEqual(settings["CONFIG_NVME_OURS"], "y")

    def test_guest(self) -> None:
        self.write("modules/modules.dep", "k/nvme-fc.ko: k/fabrics.ko\nk/fabrics.ko:\n")
        self.write("modules/modules.builtin", "")
        self.write("own/load.order", "nvme-fc.ko\nfcq.ko\n")
        modules, own = self.selftests / "modules", self.selftests / "own"
        built = Kernel(Path("/s"), Path("/b"), "fast", "7.3.4", modules)
        needs = {"nvme-fc": ["fabrics", "fcq"], "fcq": []}
        with mock.patch.object(project, "module_depends", lambda path: needs[path.stem]):
            cache = Cache(self.selftests)
            rust = vm.Guest(built, "rust", own).variables(cache)
            c = vm.Guest(built, "c", own).variables(cache)
        self.assertEqual(rust["LAB_HIDE"], f"{own}/nvme-fc.ko:{modules}/k/nvme-fc.ko")
        loaded = [f"{modules}/k/fabrics.ko", f"{own}/fcq.ko", f"{own}/nvme-fc.ko"]
        self.assertEqual(rust["LAB_LOAD"].split(), loaded)
        self.assertEqual(c["LAB_HIDE"], "")
        loaded = [f"{modules}/k/fabrics.ko", f"{modules}/k/nvme-fc.ko"]
        self.assertEqual(c["LAB_LOAD"].split(), loaded)
        # For the test that loads a module itself.
        self.assertEqual(c["RUST_MODULES"], str(own))
        self.assertEqual(rust["LAB_SETUP"], str(self.selftests / "nvme/guest-init.sh"))
        unpacked = unpack.folder(cache, ("nvme-daemon",))
        self.assertEqual(rust["LAB_UNPACKED"], str(unpacked))

    def test_needed_modules_by_the_names_of_the_kernel(self) -> None:
        for said, needed in (("nvme-core,sg_pool", ["nvme_core", "sg_pool"]), ("", [])):
            with mock.patch.object(kernel, "output", return_value=said):
                self.assertEqual(kernel.module_depends(Path("/own/nvme-fc.ko")), needed)

    def test_whose_modules_are_built(self) -> None:
        none = subsystem.Subsystem(Path("/none"))
        for implementation, subsystems, wanted in (
            ("rust", (none,), True), ("c", (none,), False), ("c", (none, *self.everything), True),
        ):  # fmt: skip
            self.assertIs(subsystem.needs_build(implementation, subsystems), wanted)

    def test_modules_in_the_image_and_nowhere(self) -> None:
        self.write("modules/modules.dep", "")
        self.write("modules/modules.builtin", "kernel/a/nvme-fc.ko\n")
        plan = project.load_plan(self.selftests / "modules", None, ["nvme_fc"])
        self.assertEqual((plan.hide, plan.load), ({}, []))
        with self.assertRaisesRegex(LabError, "no module fcq"):
            project.load_plan(self.selftests / "modules", None, ["fcq"])

    def test_runs(self) -> None:
        runs = {run.name: run for run in self.everything[0].runs}
        self.assertEqual(list(runs), ["a-b", "flood"])
        program = self.selftests / "nvme/stress_a_b.sh"
        self.assertEqual(runs["a-b"], subsystem.Run("a-b", program))
        program = self.selftests / "nvme/stress_flood.py"
        wanted = subsystem.Run(
            "flood", program, 100, 4, True, "debug", ("rust", "c"), "library.host"
        )
        self.assertEqual(runs["flood"], wanted)
        self.assertEqual(runs["flood"].about, "Many frames.")

    def test_header_that_is_not_understood(self) -> None:
        for word in ("timeout=long", "impl=java", "tools", "colour=red"):
            program = self.write("nvme/stress_x", f"#!/bin/sh\n# lab: {word}\n")
            with self.subTest(word), self.assertRaisesRegex(LabError, f"stress_x: '{word}'"):
                subsystem.read_run(program)

    def test_files_elsewhere_belong_to_all(self) -> None:
        self.assertEqual(subsystem.of(self.selftests / "nvme/test_a.py"), self.everything)
        self.assertEqual(subsystem.of(Path("/elsewhere")), self.everything)

    def test_mistakes(self) -> None:
        for text in ("modules = [", 'colour = "red"', 'programs = ["nothing"]'):
            with self.subTest(text), self.assertRaisesRegex(LabError, "lab.toml"):
                subsystem.read(self.write("nvme/lab.toml", text).parent)


class ThisProjectTest(unittest.TestCase):
    """The lab.toml files that are there."""

    def test_they_can_be_read(self) -> None:
        for each in subsystem.everything():
            self.assertTrue(each.modules, each.name)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0
"""Progress of a kernel build."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lablib import kconfig, run
from lablib.base import Cache, LabError

#: Output with three steps.
OUTPUT = """make[1]: Entering directory '/x'
  CC      init/main.o
  RUSTC L rust/core.o
In file included from nowhere:
  CC [M]  drivers/target/target_core_user.o
  note: 7 warnings
"""


class StepsTest(unittest.TestCase):
    """What is done, and of how many."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.cache = Cache(self.root / "cache")
        self.build = self.root / "build"
        self.build.mkdir()
        self.stamp = self.build / "complete"

    def of_build(self, flavour: str = "fast") -> run.Steps:
        """A build that begins now."""
        return run.steps_of_build(self.cache, flavour, self.build, self.stamp)

    def test_only_steps_count(self) -> None:
        counted = run.Steps()
        for line in OUTPUT.splitlines():
            counted.line(line)
        self.assertEqual(counted.done, 3)

    def test_text(self) -> None:
        self.assertEqual(str(run.Steps(2000, done=3)), "3 of about 2000 steps done")
        self.assertEqual(
            str(run.Steps(2000, resumed=True, done=3)), "3 of at most about 2000 steps done"
        )
        # Without a number, and with one that has turned out to be wrong.
        self.assertEqual(str(run.Steps(0, done=3)), "3 steps done")
        self.assertEqual(str(run.Steps(2, done=3)), "3 steps done")

    def test_first_build_of_each_flavour(self) -> None:
        for flavour in kconfig.FLAVOURS:
            with self.subTest(flavour):
                begun = self.of_build(flavour)
                self.assertGreater(begun.whole, 1000)
                self.assertFalse(begun.resumed)

    def test_a_build_that_ended_is_remembered(self) -> None:
        begun = self.of_build()
        begun.done = 1234
        run.remember_steps(self.cache, "fast", begun)
        self.assertEqual(self.of_build().whole, 1234)
        self.assertNotEqual(self.of_build("debug").whole, 1234)

    def test_the_rest_of_an_interrupted_build(self) -> None:
        (self.build / ".config").touch()
        begun = self.of_build()
        self.assertTrue(begun.resumed)
        begun.done = 5
        run.remember_steps(self.cache, "fast", begun)
        self.assertGreater(self.of_build().whole, 1000)

    def test_incremental_build(self) -> None:
        (self.build / ".config").touch()
        self.stamp.touch()
        begun = self.of_build()
        self.assertEqual(begun.whole, 0)
        begun.done = 5
        run.remember_steps(self.cache, "fast", begun)
        self.stamp.unlink()
        self.assertGreater(self.of_build().whole, 1000)

    def logged(self, script: str, counted: "run.Steps | None") -> str:
        """What is said while the shell runs `script`, with a report for each line."""
        said = io.StringIO()
        with (
            mock.patch.object(run, "_PROGRESS_EVERY", 0.0),
            contextlib.redirect_stderr(said),
        ):
            run.logged("kernel", ["sh", "-c", script], self.root / "log", steps=counted)
        return said.getvalue()

    def test_progress_says_how_much_is_left(self) -> None:
        counted = run.Steps(4)
        said = self.logged(f"cat <<'EOF'\n{OUTPUT}EOF", counted)
        self.assertIn("kernel: 1 of about 4 steps done, now CC      init/main.o", said)
        self.assertIn("kernel: 3 of about 4 steps done, now CC [M]", said)
        self.assertEqual(counted.done, 3)

    def test_progress_of_what_has_no_steps(self) -> None:
        said = self.logged("echo unpacking", None)
        self.assertIn("kernel: now unpacking", said)
        self.assertNotIn("steps", said)

    def test_failure_is_not_remembered(self) -> None:
        counted = self.of_build()
        with self.assertRaises(LabError):
            self.logged("echo '  CC      a.o'; exit 1", counted)
        self.assertNotEqual(self.of_build().whole, 1)


if __name__ == "__main__":
    unittest.main()

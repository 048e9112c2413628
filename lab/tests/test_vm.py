# SPDX-License-Identifier: GPL-2.0
"""The host's side of a run; the guest's side is tested by `lab check` with a real guest."""

import contextlib
import io
import os
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from lablib import vm
from lablib.base import Cache, LabError
from lablib.kernel import Kernel


class WaitTest(unittest.TestCase):
    """Waiting for the emulator, which a small shell script stands in for."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "output").touch()

    def wait(self, script: str, limit: float = 20.0, live: bool = False) -> bool:
        return vm._wait(["sh", "-c", script], self.folder, limit, live)

    def console(self) -> str:
        return (self.folder / "console").read_text()

    def test_end_in_time(self) -> None:
        self.assertFalse(self.wait("echo one; echo two >&2"))
        self.assertEqual(self.console(), "one\ntwo\n")

    def test_time_is_up(self) -> None:
        start = time.monotonic()
        self.assertTrue(self.wait("echo before; sleep 600", limit=5))
        self.assertLess(time.monotonic() - start, 300)
        self.assertEqual(self.console(), "before\n")

    def test_children_are_killed_too(self) -> None:
        number = self.folder / "number"
        self.assertTrue(self.wait(f"sleep 600 & echo $! > {number}; wait", limit=5))
        child = Path("/proc", number.read_text().strip(), "stat")
        for _ in range(600):
            # Killed, though perhaps nobody has asked for its status yet.
            try:
                ended = child.read_text().rpartition(") ")[2].startswith("Z")
            except (FileNotFoundError, ProcessLookupError):
                ended = True
            if ended:
                return
            time.sleep(0.1)
        self.fail("the child is still there")

    def test_all_are_ended_on_interruption(self) -> None:
        self.addCleanup(vm._stopping.clear)
        threading.Timer(0.3, vm.stop_all).start()
        start = time.monotonic()
        self.assertFalse(self.wait("sleep 600", limit=600))
        self.assertLess(time.monotonic() - start, 300)
        with self.assertRaisesRegex(LabError, "interrupted"):
            self.wait("true")

    def test_live_output(self) -> None:
        class Stream(io.StringIO):
            buffer = io.BytesIO()

        with contextlib.redirect_stdout(Stream()):
            self.wait(f"echo hello > {self.folder}/output", live=True)
        self.assertEqual(Stream.buffer.getvalue(), b"hello\n")


class ResultTest(unittest.TestCase):
    """What makes a run a failure."""

    def test_each_reason(self) -> None:
        folder = Path("/")
        good = vm.Result(0, False, 1.0, folder)
        self.assertTrue(good.ok)
        self.assertEqual(good.problem(), "")
        for bad, text in (
            (vm.Result(0, False, 1.0, folder, ["BUG: x"]), "BUG: x"),
            (vm.Result(2, False, 1.0, folder), "exit status 2"),
            (vm.Result(None, False, 1.0, folder), "without running the script"),
            (vm.Result(None, True, 9.0, folder), "no end after 9 s"),
        ):
            with self.subTest(text=text):
                self.assertFalse(bad.ok)
                self.assertIn(text, bad.problem())


class KvmTest(unittest.TestCase):
    """Whether KVM is used is found out by trying, once."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = Cache(Path(folder.name))
        path = Path("/k")
        self.kernel = Kernel(path, path / "fast-1", "fast", "7.3.4", path)

    def tried(self, status: int | None) -> tuple[list[bool], int]:
        result = vm.Result(status, status is None, 1.0, Path("/"))
        with (
            mock.patch.dict(os.environ, clear=True),
            mock.patch.object(os, "access", return_value=True),
            mock.patch.object(vm, "say"),
            mock.patch.object(vm, "_boot", return_value=result) as boot,
        ):
            answers = [vm.kvm_works(self.cache, self.kernel) for _ in range(2)]
        return answers, boot.call_count

    def test_works(self) -> None:
        self.assertEqual(self.tried(0), ([True, True], 1))

    def test_does_not_boot(self) -> None:
        self.assertEqual(self.tried(None), ([False, False], 1))

    def test_no_device(self) -> None:
        with (
            mock.patch.dict(os.environ, clear=True),
            mock.patch.object(os, "access", return_value=False),
        ):
            self.assertFalse(vm.kvm_works(self.cache, self.kernel))

    def test_forced(self) -> None:
        with mock.patch.dict(os.environ, {"LAB_ACCEL": "kvm"}):
            self.assertTrue(vm.kvm_works(self.cache, self.kernel))
        with mock.patch.dict(os.environ, {"LAB_ACCEL": "xen"}):
            with self.assertRaisesRegex(LabError, "'kvm' or 'tcg'"):
                vm.kvm_works(self.cache, self.kernel)

    def test_old_results_are_removed(self) -> None:
        with (
            mock.patch.object(vm, "_RUNS_KEPT", 2),
            mock.patch.object(vm, "_KEPT_FOR", -1.0),
            mock.patch.object(vm.time, "strftime", side_effect=("1", "2", "3", "4")),
        ):
            folders = [vm.new_results(self.cache) for _ in range(4)]
        self.assertEqual([folder.exists() for folder in folders], [False, True, True, True])

    def test_results_of_a_check_are_kept_until_it_reads_them(self) -> None:
        with (
            mock.patch.object(vm, "_RUNS_KEPT", 1),
            mock.patch.object(vm.time, "strftime", side_effect=("1", "2", "3", "4")),
        ):
            folders = [vm.new_results(self.cache) for _ in range(3)]
            self.assertTrue(all(folder.exists() for folder in folders))
            os.utime(folders[0], (0, 0))
            vm.new_results(self.cache)
        self.assertEqual([folder.exists() for folder in folders], [False, True, True])

    def test_results_of_a_run_that_goes_on_are_kept(self) -> None:
        with (
            mock.patch.object(vm, "_RUNS_KEPT", 1),
            mock.patch.object(vm, "_KEPT_FOR", -1.0),
            mock.patch.object(vm.time, "strftime", side_effect=("1", "2", "3", "4", "5")),
        ):
            long = vm.new_results(self.cache)
            (long / "output").touch()
            command = ["sh", "-c", "until [ -e end ]; do sleep 0.1; done"]
            run = threading.Thread(target=vm._wait, args=(command, long, 120.0, False))
            run.start()
            while not vm._in_use(long):
                time.sleep(0.01)
            for _ in range(3):
                vm.new_results(self.cache)
            self.assertTrue(long.exists())
            (long / "end").touch()
            run.join()
            vm.new_results(self.cache)
            self.assertFalse(long.exists())


if __name__ == "__main__":
    unittest.main()

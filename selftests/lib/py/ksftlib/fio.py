# SPDX-License-Identifier: GPL-2.0
"""fio, which writes data that it knows again and reads it back."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .ktap import PATIENCE, Context, Skip
from .wait import until

#: What every job does: random places, all of them once, each block with a checksum of its own.
_VERIFY = (
    "--ioengine=psync", "--rw=randwrite", "--verify=crc32c", "--do_verify=1",
    "--verify_fatal=1", "--randrepeat=1", "--fallocate=none", "--thread",
)  # fmt: skip


class Fio:
    """A running fio. What it printed is shown if the test fails."""

    def __init__(self, context: Context, name: str, *arguments: str) -> None:
        program = shutil.which("fio")
        if not program:
            raise Skip("fio is not installed")
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="ksft-fio-"))
        context.defer(lambda: shutil.rmtree(self._folder, ignore_errors=True))
        self._output = self._folder / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [program, f"--name={name}", *_VERIFY, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        context.defer(self._kill)
        context.on_failure(self.output)

    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def check(self) -> None:
        """Fails the test if it found an error. It has ended."""
        status = self.process.returncode
        assert status == 0 and "err= 0" in self.output(), (
            f"fio {self._name} ended with {status}:\n{self.output()[-2000:]}"
        )

    def _kill(self) -> None:
        if not self.done():
            self.process.kill()
            self.process.wait(timeout=20 * PATIENCE)


def wait_all(
    running: Sequence[Fio], seconds: float, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Waits for the end of all, calling `meanwhile` again and again, and checks each."""

    def ended() -> bool:
        meanwhile()
        return all(one.done() for one in running)

    until(ended, f"the end of {len(running)} fio", seconds)
    for one in running:
        one.check()

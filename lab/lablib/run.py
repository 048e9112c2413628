# SPDX-License-Identifier: GPL-2.0
"""Child processes: a clean environment, a log file, progress in steps of a build, and locks."""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .base import Cache, LabError, say

#: A line of Kbuild's short output: "  CC [M]  drivers/target/foo.o".
_STEP = re.compile(r"^  [A-Z][A-Z0-9_]*\b.*\s(\S+)$")

#: Steps of a build from nothing by flavour: counted with Debian's 7.3.4 for fast, and for
#: the others those that their options add. What a build that ends counts takes their place
#: in the cache, so that another kernel or configuration makes them wrong once.
_KNOWN = {"fast": 2124, "debug": 2146, "cfi": 2140}


@dataclass
class Steps:
    """Counts the steps in the output of a build."""

    #: What a build from nothing has; 0 if nobody knows.
    whole: int = 0
    #: Some were done by an earlier build that did not end.
    resumed: bool = False
    done: int = 0

    def line(self, text: str) -> None:
        """Takes a line of output."""
        if _STEP.match(text):
            self.done += 1

    def __str__(self) -> str:
        if not self.whole or self.done > self.whole:
            return f"{self.done} steps done"
        about = "at most about" if self.resumed else "about"
        return f"{self.done} of {about} {self.whole} steps done"


def steps_of_build(cache: Cache, flavour: str, build: Path, stamp: Path) -> Steps:
    """What to count a build of `flavour` with that is about to begin in the folder `build`.

    How much an incremental build does, one where `stamp` says that the last one ended, depends on
    what has changed: it has no number.
    """
    if stamp.exists():
        return Steps()
    remembered = _steps_file(cache, flavour)
    text = remembered.read_text(encoding="utf-8") if remembered.is_file() else ""
    whole = int(text) if text.strip().isdigit() else _KNOWN[flavour]
    return Steps(whole, resumed=(build / ".config").exists())


def remember_steps(cache: Cache, flavour: str, steps: Steps) -> None:
    """A build has ended: if it began with nothing, its number is what the next one will have."""
    if steps.whole and not steps.resumed:
        _steps_file(cache, flavour).write_text(f"{steps.done}\n", encoding="utf-8")


def _steps_file(cache: Cache, flavour: str) -> Path:
    return cache.folder("steps") / flavour


#: Variables that steer make, Kbuild or rustc. The lab is called from make and
#: must not hand its caller's settings down to the builds that it starts.
_STEERING = (
    "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS",
    "ARCH", "CROSS_COMPILE", "LLVM", "CC", "LD", "HOSTCC", "O", "M", "MO", "V", "W", "C",
    "KCFLAGS", "KAFLAGS", "KRUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR",
    "KDIR", "KBUILD", "KERNEL", "MODULES", "RUST_MODULES", "VNG", "FLAVOUR", "IMPL",
    "INSTALL_MOD_PATH", "INSTALL_PATH", "LOCALVERSION", "CLIPPY", "KCONFIG_CONFIG",
)  # fmt: skip

#: Seconds between two lines of progress of a long build.
_PROGRESS_EVERY = 15.0

#: Lines of a failed command's output that are shown.
_TAIL = 40


def clean_environment(path_first: Sequence[Path] = ()) -> dict[str, str]:
    """This process's environment without what steers builds, in the C locale.

    `path_first` goes to the front of PATH.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in _STEERING and not name.startswith("KBUILD_")
    }
    env["LC_ALL"] = "C"
    env["PATH"] = os.pathsep.join([*map(str, path_first), env.get("PATH", "/usr/bin:/bin")])
    return env


def output(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Standard output of a short command, stripped; LabError when it fails."""
    try:
        done = subprocess.run(
            command, env=env, check=False, text=True, capture_output=True, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise LabError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise LabError(
            f"'{shlex.join(command)}' failed with status {done.returncode}:\n{done.stderr.strip()}"
        )
    return done.stdout.strip()


def logged(
    what: str,
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    steps: Steps | None = None,
) -> None:
    """Runs a long command with its output in `log` and progress now and then.

    `on_line` sees every line of output, and `steps` counts those that are steps of a
    build. Raises LabError with the last lines of the output when the command fails.
    """
    steps = Steps() if steps is None else steps
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=_TAIL)
    next_report = time.monotonic() + _PROGRESS_EVERY
    with log.open("w", encoding="utf-8", errors="replace") as sink:
        sink.write(f"$ {shlex.join(command)}\n")
        try:
            child = subprocess.Popen(
                command, env=env, cwd=cwd, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise LabError(f"{what}: cannot run {command[0]}: {error.strerror}") from error
        with child:
            assert child.stdout is not None
            for line in child.stdout:
                sink.write(line)
                line = line.rstrip("\n")
                tail.append(line)
                if on_line:
                    on_line(line)
                steps.line(line)
                if time.monotonic() >= next_report:
                    next_report += _PROGRESS_EVERY
                    count = f"{steps}, " if steps.done else ""
                    say(f"{what}: {count}now {line.strip()[:90]}")
        status = child.returncode
    if status != 0:
        shown = "\n".join(f"    {line}" for line in tail)
        raise LabError(
            f"{what} failed (status {status}); the last lines of {log}:\n{shown}"
        )


def need(program: str, advice: str) -> str:
    """Path of `program`, or LabError with `advice`."""
    path = shutil.which(program)
    if path is None:
        raise LabError(f"'{program}' is not in PATH; {advice}")
    return path


def jobs() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def locked(cache: Cache, name: str) -> Iterator[None]:
    """Holds the lock `name` of the cache; waits, and says so, if another lab has it."""
    path = cache.folder("locks") / name
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield

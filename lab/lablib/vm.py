# SPDX-License-Identifier: GPL-2.0
"""Runs a script in a virtual machine that boots a kernel of the cache.

The guest sees the host's root file system read-only (writes go to overlays in
its memory) and one folder of the cache, the results, writable.
"""

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import project, subsystem, unpack
from .base import CHECKOUT, LAB, Cache, LabError, say
from .kernel import Kernel
from .run import clean_environment, locked
from .subsystem import Subsystem
from .tools import virtme_ng

#: Seconds that a guest gets for all but the script, by flavour. The debug kernel
#: boots slowly under emulation and looks for leaks in the end. Ten times what an
#: idle machine needs: nobody waits for this unless the guest hangs.
_BOOT_ALLOWANCE = {"fast": 600.0, "debug": 2400.0, "cfi": 600.0}

#: Seconds in which a guest on KVM must have run a trivial script to count as working.
_KVM_PROBE = 120.0

#: For a guest that gets little of a busy machine: the kernel's check that the timer interrupt
#: arrives would panic, and its watchdogs would take a slow guest for one that hangs.
_FOR_BUSY_MACHINES = (
    "no_timer_check", "rcupdate.rcu_cpu_stall_timeout=120", "watchdog_thresh=60",
    "workqueue.watchdog_thresh=120",
)  # fmt: skip

#: Runs whose results are kept, and for how many seconds those of all are: a check reads them in the
#: end, and another lab may have many runs meanwhile.
_RUNS_KEPT, _KEPT_FOR = 60, 12 * 3600.0

#: Lines of the console shown on failure.
_CONSOLE_TAIL = 25

#: What the kernel's checkers print. A report makes a run fail whatever the
#: script inside said.
_REPORT = re.compile(
    r"""
      \bBUG:\s                        # KASAN, bad access, sleeping in atomic context, soft lockup
    | kernel\ BUG\ at\b
    | \bWARNING:\s                    # WARN_ON, lockdep, suspicious RCU usage
    | \bOops:\s
    | \bKernel\ panic\b
    | general\ protection\ fault
    | \bINFO:\ task\ .*\ blocked\ (?:for|on)\b
    | \bINFO:\ (?:trying\ to\ register\ non-static\ key|possible\ )
    | rcu.*(?:detected\ (?:expedited\ )?stalls|self-detected\ stall)
    | \bUBSAN:\s
    | kmemleak:\ \d+\ new\ suspected
    | \bODEBUG:\s
    | list_(?:add|del)\ corruption
    | \bCFI\ failure\ at\b            # a function called by another type than its own
    | refcount_t:\s
    | \w+:\ panicked\ at\b           # Rust, with the name of the module
    | \bDEBUG_LOCKS_WARN_ON\b
    | sysfs:\ cannot\ create\ duplicate
    | \bunregister_netdevice:\ waiting\b
    """,
    re.VERBOSE,
)

#: Lines that match by chance and say nothing about this project.
_HARMLESS = re.compile(
    r"""
      Spectre\ V2\ :\ WARNING:        # mitigations switched off in a throw-away guest
    | \[Firmware\ (?:Bug|Warn)\]
    | clocksource:\ .*WARNING
    """,
    re.VERBOSE,
)

#: The emulators that run now, and whether they are being ended for good.
_running: "set[subprocess.Popen[bytes]]" = set()
_stopping = threading.Event()


def stop_all() -> None:
    """Ends all guests, also those that other threads wait for; none is started after it.

    Emulators are in sessions of their own, so that a signal for the lab does
    not reach them by itself.
    """
    _stopping.set()
    for child in list(_running):
        _kill(child)


@dataclass(frozen=True)
class Guest:
    """What runs in the guest, and with which modules."""

    kernel: Kernel
    #: ``rust``, ``c`` or ``none``, see guest-init.sh.
    implementation: str
    #: Folder with this project's modules; needed for ``rust``, and for `test_modules`.
    rust_modules: Path | None = None
    #: Added to the kernel's command line.
    parameters: tuple[str, ...] = ()
    #: Words of QEMU's command line, besides those that every guest has.
    emulator: tuple[str, ...] = ()
    #: Whose modules are loaded.
    subsystems: tuple[Subsystem, ...] = field(default_factory=lambda: subsystem.everything())

    def variables(self, cache: Cache) -> dict[str, str]:
        """The environment in which guest-init.sh works."""
        setups = (str(each.guest_setup) for each in self.subsystems if each.guest_setup)
        found = {
            "IMPL": self.implementation,
            "FLAVOUR": self.kernel.flavour,
            "MODULES": str(self.kernel.modules),
            "RUST_MODULES": str(self.rust_modules or ""),
            "LAB_SETUP": " ".join(setups),
            "LAB_UNPACKED": " ".join(map(str, unpack.folders(cache, self.subsystems))),
        }
        if self.implementation != "none":
            own = self.rust_modules if self.implementation == "rust" else None
            names = [name for each in self.subsystems for name in each.modules]
            if own:
                names += [name for each in self.subsystems for name in each.own_modules]
            plan = project.load_plan(self.kernel.modules, own, names)
            found["LAB_HIDE"] = " ".join(f"{ours}:{stock}" for ours, stock in plan.hide.items())
            found["LAB_LOAD"] = " ".join(map(str, plan.load))
        return found


def exports(variables: Mapping[str, str]) -> str:
    """Lines of shell that set `variables`."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


@dataclass
class Result:
    """How a run ended."""

    #: Exit status of the script; None if the guest never wrote one.
    status: int | None
    timed_out: bool
    seconds: float
    folder: Path
    #: Reports of kernel bugs on the console.
    reports: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        """Standard output and error of the script."""
        return read_text(self.folder / "output")

    @property
    def ok(self) -> bool:
        """The script succeeded and the kernel had nothing to report."""
        return self.status == 0 and not self.timed_out and not self.reports

    def problem(self) -> str:
        """One line on why the run failed; empty if it did not."""
        if self.timed_out:
            return f"no end after {self.seconds:.0f} s"
        if self.reports:
            return f"{len(self.reports)} kernel reports, the first: {self.reports[0]}"
        if self.status is None:
            return "the guest ended without running the script to its end"
        return f"exit status {self.status}" if self.status else ""


def read_text(path: Path) -> str:
    """Text of a file that a guest wrote; empty if it did not."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def reports_in(console: str) -> list[str]:
    """First lines of all reports in the text of a console, in order."""
    return [
        line.strip()
        for line in console.splitlines()
        if _REPORT.search(line) and not _HARMLESS.search(line)
    ]


def new_results(cache: Cache) -> Path:
    """A fresh folder for the results of one run; old ones are removed."""
    runs = cache.folder("runs")
    with locked(cache, "runs"):
        young = time.time() - _KEPT_FOR
        for old in sorted(runs.iterdir())[:-_RUNS_KEPT]:
            # A run of hours is older than many short ones beside it.
            if old.stat().st_mtime < young and not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for number in range(1000):
            folder = runs / f"{stamp}-{number:03}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    raise LabError(f"cannot make a new folder in {runs}")


def _in_use(folder: Path) -> bool:
    """Whether an emulator still writes to a results folder, of any lab."""
    try:
        with (folder / "console").open("rb") as console_file:
            fcntl.flock(console_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def vng_command(cache: Cache, kernel: Kernel, kvm: bool) -> list[str]:
    """virtme-ng's command line, without what to run."""
    command = [
        str(virtme_ng(cache)), "--verbose", "--skip-modules", "--force-9p", "--disable-microvm",
        "--run", str(kernel.image), "--cpus", "2", "--memory", "2G", "--user", "root",
    ]  # fmt: skip
    for parameter in _FOR_BUSY_MACHINES:
        command += ["--append", parameter]
    if not kvm:
        command += ["--disable-kvm", "--qemu-opts=-accel tcg,thread=multi"]
    return command


def kvm_works(cache: Cache, kernel: Kernel) -> bool:
    """Whether this kernel really boots on KVM here: tried once, then remembered.

    /dev/kvm alone says little: nested or restricted hypervisors offer it and
    do not run a normal kernel. ``LAB_ACCEL=kvm`` or ``tcg`` decides without trying.
    """
    if forced := os.environ.get("LAB_ACCEL"):
        if forced not in ("kvm", "tcg"):
            raise LabError(f"LAB_ACCEL is '{forced}'; it must be 'kvm' or 'tcg'")
        return forced == "kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    remembered = cache.folder("kvm") / kernel.key
    with locked(cache, "kvm"):
        if not remembered.is_file():
            say(f"trying a guest on KVM (at most {_KVM_PROBE:.0f} s, once)")
            folder = new_results(cache)
            guest = Guest(kernel, "none")
            result = _boot(
                cache, guest, ["true"], folder, _KVM_PROBE, kvm=True,
                environment={"LAB_NO_KMEMLEAK": "1"}, allowance=0.0,
            )  # fmt: skip
            say("KVM works" if result.ok else f"KVM does not work ({result.problem()}): using TCG")
            remembered.write_text(json.dumps(result.ok), encoding="utf-8")
    return bool(json.loads(remembered.read_text(encoding="utf-8")))


def run(
    cache: Cache,
    guest: Guest,
    command: Sequence[str],
    timeout: float,
    environment: Mapping[str, str] | None = None,
    directory: Path = CHECKOUT,
    live: bool = False,
    folder: Path | None = None,
) -> Result:
    """Boots a guest, runs `command` in `directory` inside and powers it off.

    `timeout` is in seconds and for the command alone. With `live` the command's
    output also goes to standard output as it comes. `folder` is for the results, a fresh one.
    """
    kvm = kvm_works(cache, guest.kernel)
    return _boot(
        cache, guest, command, folder or new_results(cache), timeout, kvm, environment or {},
        directory, live,
    )  # fmt: skip


def _boot(
    cache: Cache,
    guest: Guest,
    command: Sequence[str],
    folder: Path,
    timeout: float,
    kvm: bool,
    environment: Mapping[str, str] | None = None,
    directory: Path = CHECKOUT,
    live: bool = False,
    allowance: float | None = None,
) -> Result:
    if allowance is None:
        allowance = _BOOT_ALLOWANCE[guest.kernel.flavour]
    if guest.implementation == "rust" and guest.rust_modules is None:
        raise LabError("IMPL=rust needs this project's modules")
    variables = {
        # Emulated, or on a machine that does other things: the tests' limits are longer.
        "KSFT_MACHINE_SLOW": "yes",
        **(environment or {}),
        **guest.variables(cache),
        "RESULTS": str(folder),
        "LAB_DIRECTORY": str(directory),
        "LAB_TIMEOUT": str(timeout),
    }
    text = f"{exports(variables)}LAB_COMMAND=({shlex.join(command)})\n"
    (folder / "env").write_text(text, encoding="utf-8")
    (folder / "output").touch()
    vng = vng_command(cache, guest.kernel, kvm)
    inside = shlex.join(["bash", str(LAB / "guest-run.sh"), str(folder)])
    if guest.implementation != "c":
        # An oops ends the guest: what comes after it says nothing. The C modules
        # are known to oops in some tests, whose other results are wanted.
        vng += ["--append", "oops=panic"]
    for parameter in guest.parameters:
        vng += ["--append", parameter]
    if guest.emulator:
        vng.append(f"--qemu-opts={shlex.join(guest.emulator)}")
    vng += [f"--rwdir={folder}={folder}", "--exec", inside]
    start = time.monotonic()
    # The guest ends the script in time; the emulator is killed if it cannot.
    killed = _wait(vng, folder, timeout + allowance, live)
    status = read_text(folder / "status").strip()
    return Result(
        int(status) if status.isdigit() else None,
        killed or (folder / "timed-out").exists(),
        time.monotonic() - start,
        folder,
        reports_in(read_text(folder / "console")),
    )


def _wait(vng: Sequence[str], folder: Path, limit: float, live: bool) -> bool:
    """Runs vng with the console in a file; True if its time was up and it was killed."""
    if _stopping.is_set():
        raise LabError("interrupted")
    deadline = time.monotonic() + limit
    with (folder / "console").open("wb") as sink, (folder / "output").open("rb") as output:
        # For `_in_use`.
        fcntl.flock(sink, fcntl.LOCK_EX)
        # A pipe, not the file itself: QEMU opens the stream anew for each of
        # its channels, and each would overwrite the file from the start.
        child = subprocess.Popen(
            vng, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=clean_environment(), cwd=folder, start_new_session=True,
        )  # fmt: skip
        _running.add(child)
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        timed_out = False
        try:
            while True:
                ended = child.poll() is not None
                sink.write(child.stdout.read() or b"")
                if live:
                    sys.stdout.buffer.write(output.read())
                    sys.stdout.flush()
                if ended or _stopping.is_set():
                    break
                if time.monotonic() > deadline:
                    timed_out = True
                    break
                time.sleep(0.1)
        finally:
            _kill(child)
            child.wait()
            _running.discard(child)
        with child.stdout:
            sink.write(child.stdout.read() or b"")
    return timed_out


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Kills vng and its QEMU: both are in a process group of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def leaks(result: Result) -> str:
    """What kmemleak has found, to follow in a sentence; empty if the kernel does not have it."""
    path = result.folder / "kmemleak"
    if not path.exists():
        return ""
    return f", kmemleak found {read_text(path).count('unreferenced object')} objects"


def explain(result: Result) -> None:
    """Says why a run failed, with the end of its console, on standard error."""
    say(f"the run failed: {result.problem()}")
    for report in result.reports[1:10]:
        say(f"  also: {report}")
    tail = read_text(result.folder / "console").splitlines()[-_CONSOLE_TAIL:]
    say(f"the end of the guest's console ({result.folder}/console):")
    for line in tail:
        print(f"    {line}", file=sys.stderr)

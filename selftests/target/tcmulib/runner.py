# SPDX-License-Identifier: GPL-2.0
"""tcmu-runner and targetcli, as distributions ship them, on a D-Bus of their own.

targetcli finds the handlers of tcmu-runner by D-Bus. It is one process here, as
for a person at its prompt: starting it takes longer than most of its commands.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import PATIENCE, Context, Skip, equal
from ksftlib.wait import until

from .configfs import CORE, LOOPBACK, TARGET, Device, load_fabric
from .ring import Ring
from .suite import Suite

_PROGRAMS = ("dbus-daemon", "dbus-send", "tcmu-runner", "targetcli", "qemu-img")

#: Where libraries look for the address of the system bus.
_BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"

#: What targetcli writes when it is ready for the next command.
_PROMPT = b"/> "

#: The system bus's rules, and those that packages add to them: tcmu-runner's is one.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <includedir>/etc/dbus-1/system.d</includedir>
  <includedir>/usr/share/dbus-1/system.d</includedir>
</busconfig>
"""

_clients: "Clients | None" = None


def _needs() -> None:
    """Skips the test unless the programs are there and the target is nobody else's."""
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed")
    load_fabric()
    # `clearconfig` would take them away.
    if configured():
        raise Skip(f"this machine's target is in use: {', '.join(configured())}")
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if read(path) == "tcmu-runner":
                raise Skip("this machine runs a tcmu-runner of its own")
        except (FileNotFoundError, ProcessLookupError):
            continue


def configured() -> list[str]:
    """Adapters of the core and targets of all fabrics."""
    found = [path.name for path in CORE.iterdir() if path.name != "alua"]
    for fabric in TARGET.iterdir():
        if fabric.is_dir() and fabric.name != "core":
            found += [
                f"{fabric.name}/{path.name}"
                for path in fabric.iterdir()
                if path.is_dir() and path.name != "discovery_auth"
            ]
    return sorted(found)


class Runner:
    """tcmu-runner; `process` is that of the last start."""

    def __init__(self, folder: Path, environment: dict[str, str], *options: str) -> None:
        self._folder = folder
        self._environment = environment
        self._options = options
        self._starts = 0
        self.process: "subprocess.Popen[bytes] | None" = None

    @property
    def log_path(self) -> Path:
        """The log of the last start."""
        return self._folder / f"log-{self._starts}" / "tcmu-runner.log"

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        assert self.process is not None
        return self.process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts it; it takes over the devices that are there before it can be found on the bus."""
        assert not self.alive()
        self._starts += 1
        self.log_path.parent.mkdir()
        with (self.log_path.parent / "stdout").open("wb") as log:
            self.process = subprocess.Popen(
                ["tcmu-runner", "--tcmu-log-dir", str(self.log_path.parent), *self._options],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._on_the_bus, "tcmu-runner's name on the bus", 30)

    def _on_the_bus(self) -> bool:
        assert self.alive(), f"tcmu-runner ended: {self.story()}"
        done = subprocess.run(
            ["dbus-send", f"--bus={self._environment[_BUS_VARIABLE]}", "--print-reply=literal",
             "--dest=org.freedesktop.DBus", "/",
             "org.freedesktop.DBus.GetConnectionUnixProcessID", "string:org.kernel.TCMUService1"],
            check=False, capture_output=True, text=True, timeout=20 * PATIENCE,
        )  # fmt: skip
        return done.stdout.split() == ["uint32", str(self.pid)]

    def log(self) -> str:
        """What it has logged since the last start."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def story(self) -> str:
        """The end of the log, for diagnostics."""
        return "\n".join(["tcmu-runner's log:", *self.log().splitlines()[-30:]])

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=20 * PATIENCE)

    def terminate(self, seconds: float = 20.0) -> int:
        """SIGTERM, which makes it finish what it does; returns its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=seconds * PATIENCE)

    def pause(self) -> None:
        """SIGSTOP: from now on it does nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        until(lambda: read(stat).rpartition(")")[2].split()[0] == "T", "tcmu-runner to stop")

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def revive(self) -> None:
        """Makes sure that it runs and answers."""
        if self.alive():
            self.resume()
        else:
            self.start()

    def close(self) -> None:
        """Ends it for good."""
        if self.alive():
            self.resume()
            try:
                equal(self.terminate(), 0, "exit status of tcmu-runner")
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def open_files(self) -> list[str]:
        """What its descriptors and mappings refer to."""
        found = []
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found.append(os.readlink(path))
            except FileNotFoundError:
                continue
        maps = Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8", errors="replace")
        return found + [line.split(maxsplit=5)[-1] for line in maps.splitlines()]


class Snapshot(Ring):
    """A copy of the mailbox and the command ring, as tcmu-runner has them mapped.

    The node itself cannot be opened a second time.
    """

    def __init__(self, runner: Runner, device: Device) -> None:
        self.node = device.node()
        self.fd = -1
        maps = Path(f"/proc/{runner.pid}/maps").read_text(encoding="utf-8", errors="replace")
        found = re.search(rf"^([0-9a-f]+)-.* {self.node}$", maps, re.MULTILINE)
        assert found, f"tcmu-runner has not mapped {self.node}"
        with Path(f"/proc/{runner.pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(int(found[1], 16))
            page = memory.read(4096)
            end = int.from_bytes(page[4:8], "little") + int.from_bytes(page[8:12], "little")
            data = bytearray(page)
            while len(data) < end:
                data += memory.read(end - len(data))
        self.use(data)


class Targetcli:
    """targetcli at its prompt."""

    def __init__(self, environment: dict[str, str]) -> None:
        #: Commands and their output so far.
        self.transcript = ""
        self._process = subprocess.Popen(
            ["targetcli"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._answer("the start of targetcli", 60)
        # By default it overwrites the saved configuration of this machine when it ends.
        self.run("set global auto_save_on_exit=false", "is now 'false'")

    def run(self, command: str, *expected: str, seconds: float = 30.0) -> str:
        """One command; fails the test unless its output contains all of `expected`."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        output = self._answer(command, seconds)
        for text in expected:
            assert text in output, f"targetcli, '{command}': no '{text}' in:\n{output}"
        return output

    def _answer(self, what: str, seconds: float) -> str:
        assert self._process.stdout is not None
        seconds *= PATIENCE
        deadline = time.monotonic() + seconds
        data = b""
        while data != _PROMPT and not data.endswith(b"\n" + _PROMPT):
            rest = max(0.0, deadline - time.monotonic())
            ready = select.select([self._process.stdout], [], [], rest)[0]
            assert ready, f"targetcli, '{what}': no prompt after {seconds:g} s:\n{data.decode()}"
            chunk = os.read(self._process.stdout.fileno(), 65536)
            assert chunk, f"targetcli ended at '{what}':\n{data.decode()}"
            data += chunk
        output = data[: -len(_PROMPT)].decode()
        self.transcript += f"{what}\n{output}/> "
        return output

    def story(self) -> str:
        """The end of the transcript, for diagnostics."""
        return "\n".join(["targetcli:", *self.transcript.splitlines()[-30:]])

    def close(self) -> None:
        """Leaves it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            equal(self._process.wait(timeout=20 * PATIENCE), 0, "exit status of targetcli")
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20 * PATIENCE)
            raise
        finally:
            self._process.stdout.close()


class Clients:
    """A bus, tcmu-runner with these options, and targetcli; `context` ends them."""

    def __init__(self, context: Context, *options: str) -> None:
        _needs()
        self.folder = Path(tempfile.mkdtemp(prefix="tcmu-runner-"))
        context.defer(lambda: shutil.rmtree(self.folder))
        environment = {
            **os.environ,
            _BUS_VARIABLE: self._start_bus(context),
            "TARGETCLI_HOME": str(self.folder / "targetcli"),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "100",
        }
        self.runner = Runner(self.folder, environment, *options)
        context.defer(self.runner.close)
        self.runner.start()
        self.cli = Targetcli(environment)
        context.defer(self.cli.close)

    def _start_bus(self, context: Context) -> str:
        path = self.folder / "bus"
        configuration = self.folder / "bus.conf"
        configuration.write_text(_BUS.format(address=f"unix:path={path}"), encoding="utf-8")
        bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile"],
            stdin=subprocess.DEVNULL,
        )

        def end() -> None:
            bus.terminate()
            bus.wait(timeout=20 * PATIENCE)

        context.defer(end)
        until(lambda: path.exists() or bus.poll() is not None, "the bus's socket")
        equal(bus.poll(), None, "exit status of dbus-daemon")
        return f"unix:path={path}"

    def attend(self, context: Context) -> None:
        """For each test: what explains its failure, and the removal of all that it leaves."""
        context.on_failure(self.cli.story)
        context.on_failure(self.runner.story)
        context.defer(self._clear_rest)
        self.runner.revive()

    def image(self, name: str) -> Path:
        """Where an image of this name belongs."""
        return self.folder / f"image-{name}"

    def handlers(self) -> list[str]:
        """The handlers that tcmu-runner has, as it says itself."""
        return re.findall(r"Handler (\S+) is registered", self.runner.log())

    def create(self, handler: str, name: str, size: int, config: str, *more: str) -> "Device":
        """A device of tcmu-runner, made by targetcli."""
        path = f"/backstores/user:{handler}"
        options = "".join(f" {option}" for option in more)
        self.cli.run(
            f"{path} create name={name} size={size} cfgstring={config}{options}",
            f"Created user-backed storage object {name} size {size}",
        )
        (found,) = CORE.glob(f"user_*/{name}")
        return Existing(found)

    def target(self, wwn: str) -> Path:
        """A loopback target, made by targetcli; returns its target port group in configfs."""
        self.cli.run(f"/loopback create {wwn}", f"Created target {wwn}")
        return LOOPBACK / wwn / "tpgt_1"

    def export(self, target: Path, handler: str, name: str) -> str:
        """Makes the device the next LUN of the target; returns its SCSI address."""
        output = self.cli.run(
            f"/loopback/{target.parent.name}/luns create /backstores/user:{handler}/{name}",
            "Created LUN",
        )
        number = re.search(r"Created LUN (\d+)", output)
        assert number is not None
        return f"{read(target / 'address')}:{number[1]}"

    def _clear_rest(self) -> None:
        if configured():
            self.clear()

    def clear(self) -> None:
        """Removes the whole configuration, and fails if anything is left of it."""
        self.runner.revive()
        self.cli.run("clearconfig confirm=True", "All configuration cleared")
        self.nothing_left()

    def nothing_left(self) -> None:
        """Fails the test if anything is left of any device, here or in tcmu-runner."""
        equal(configured(), [], "configuration left behind")
        looks: list[Callable[[], list[Path]]] = [
            lambda: list(Path("/sys/class/uio").iterdir()),
            lambda: list(Path("/dev").glob("uio*")),
        ]
        for look in looks:
            until(lambda look=look: not look(), f"the end of {look()}", 5)  # type: ignore[misc]
        left = [
            name
            for name in self.runner.open_files()
            if "/dev/uio" in name or name.startswith(str(self.folder / "image"))
        ]
        equal(left, [], "files that tcmu-runner keeps open")


def clients(suite: Suite, context: Context) -> Clients:
    """Those of the program, started by its first test, for the test of `context`."""
    global _clients
    if _clients is None:
        _clients = Clients(suite.shared)
    _clients.attend(context)
    return _clients


class Existing(Device):
    """A device that a client has created, and removes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    def uio_name(self) -> str:
        """How the kernel names this device's UIO node, without its configuration string."""
        return f"tcm-user/{self.path.parent.name[len('user_') :]}/{self.name}"

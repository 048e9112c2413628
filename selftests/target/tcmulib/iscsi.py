# SPDX-License-Identifier: GPL-2.0
"""LIO's iSCSI target on the loopback address, and open-iscsi's initiator."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PATIENCE, Context, Skip
from ksftlib.wait import until

from .configfs import TARGET, Device, link_lun
from .scsi import Disk

ADDRESS = "127.0.0.1"

#: Name of the targets and of the initiator, up to what tells them apart.
_IQN = "iqn.2003-01.org.linux-iscsi.tcmu-selftest"

_FABRIC = TARGET / "iscsi"
_SESSIONS = Path("/sys/class/iscsi_session")

#: Abstract socket on which iscsid listens to iscsiadm.
_ISCSID = "\0ISCSIADM_ABSTRACT_NAMESPACE"

#: What differs from open-iscsi's own settings: NOPs that a slow machine answers late would
#: break connections that a test wants whole.
_RECORD = {
    "node.startup": "manual",
    "node.conn[0].timeo.noop_out_interval": "0",
    "node.conn[0].timeo.noop_out_timeout": "0",
    "node.conn[0].timeo.login_timeout": str(int(30 * PATIENCE)),
}

_next_target = 0


def need(*programs: str) -> None:
    """Skips the test unless all `programs` are there."""
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        raise Skip(f"needs {', '.join(missing)}")


def _modprobe(*modules: str) -> None:
    for name in modules:
        if Path("/sys/module", name).is_dir():
            continue
        done = subprocess.run(
            ["modprobe", name], check=False, text=True, capture_output=True, timeout=60 * PATIENCE
        )
        if done.returncode:
            raise Skip(f"cannot load {name}: {done.stderr.strip()}")


def _loopback_up() -> None:
    """The loopback interface of a bare virtual machine is down."""
    if int(read(Path("/sys/class/net/lo/flags")), 16) & 1:
        return
    need("ip")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10 * PATIENCE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


class Target:
    """A target with one portal on the loopback address. Whoever connects may log in.

    Sessions must have ended before it is undone.
    """

    def __init__(self, context: Context) -> None:
        global _next_target
        _modprobe("iscsi_target_mod")
        _loopback_up()
        _FABRIC.mkdir(exist_ok=True)
        self.context = context
        self.iqn = f"{_IQN}:{_next_target}"
        _next_target += 1
        self.portal = f"{ADDRESS}:{_free_port()}"
        self.path = _FABRIC / self.iqn
        self.tpg = self.path / "tpgt_1"
        for folder in (self.path, self.tpg):
            folder.mkdir()
            context.defer(folder.rmdir)
        for name, value in (
            ("authentication", 0),
            ("generate_node_acls", 1),
            ("cache_dynamic_acls", 1),
            ("demo_mode_write_protect", 0),
        ):
            write(self.tpg / "attrib" / name, str(value))
        np = self.tpg / "np" / self.portal
        np.mkdir()
        context.defer(np.rmdir)

    def add_lun(self, device: Device, number: int = 0) -> Path:
        """Exports `device`; returns the link in configfs. Something must already serve it."""
        return link_lun(self.context, self.tpg, device, number)

    def enable(self) -> None:
        """Lets initiators in."""
        write(self.tpg / "enable", "1")
        self.context.defer(self._disable)

    def _disable(self) -> None:
        # The target's side of a session ends a little after the initiator's.
        until(lambda: not self.sessions(), "the end of all sessions")
        write(self.tpg / "enable", "0")

    def url(self, lun: int = 0) -> str:
        """How libiscsi names a LUN."""
        return f"iscsi://{self.portal}/{self.iqn}/{lun}"

    def _statistic(self, group: str, name: str) -> int:
        return int(read(self.path / "fabric_statistics" / group / name))

    def sessions(self) -> int:
        """Number of sessions now."""
        return self._statistic("iscsi_instance", "sessions")

    def logins(self) -> int:
        """Number of logins so far, a session's reinstatement among them."""
        return self._statistic("iscsi_login_stats", "accepts")

    def errors(self) -> int:
        """Number of sessions that failed and of connections that broke so far."""
        return self._statistic("iscsi_instance", "fail_sess") + self._statistic(
            "iscsi_sess_err", "cxn_errors"
        )


def _iscsid_runs() -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        with contextlib.suppress(ConnectionRefusedError):
            probe.connect(_ISCSID)
            return True
    return False


def start_iscsid(context: Context) -> None:
    """Makes sure that iscsid runs; one that this starts ends with `context`."""
    need("iscsid", "iscsiadm")
    _modprobe("iscsi_tcp")
    if _iscsid_runs():
        return
    folder = Path(tempfile.mkdtemp(prefix="tcmu-iscsid-"))
    context.defer(lambda: shutil.rmtree(folder, ignore_errors=True))
    (folder / "initiatorname").write_text(f"InitiatorName={_IQN}:initiator\n", encoding="ascii")
    (folder / "conf").touch()
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                "iscsid", "--foreground",
                "--config", str(folder / "conf"),
                "--initiatorname", str(folder / "initiatorname"),
            ],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            # Its end sends a signal to its process group.
            start_new_session=True,
        )  # fmt: skip

    def stop() -> None:
        process.terminate()
        try:
            process.wait(timeout=10 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    context.defer(stop)
    context.on_failure(lambda: f"iscsid: {log.read_text(errors='replace')[-2000:]}")
    until(lambda: _iscsid_runs() or process.poll() is not None, "iscsid to listen")
    assert process.poll() is None, f"iscsid ended with status {process.returncode}"


def iscsiadm(*arguments: str, seconds: float = 60.0) -> str:
    """Output of iscsiadm; fails the test if it fails or does not end."""
    done = subprocess.run(
        ["iscsiadm", *arguments], check=False, text=True, timeout=seconds * PATIENCE,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    text = f"iscsiadm {' '.join(arguments)}: status {done.returncode}: {done.stdout.strip()}"
    assert done.returncode == 0, text
    return done.stdout


class Initiator:
    """open-iscsi's record of a target; `settings` are names and values of the record.

    iscsid must run. A session that is left is logged out and the record deleted at the end.
    """

    def __init__(
        self, context: Context, target: Target, settings: "dict[str, str] | None" = None
    ) -> None:
        self.context = context
        self.target = target
        self._node = ("--mode", "node", "--targetname", target.iqn, "--portal", target.portal)
        iscsiadm(*self._node, "--op", "new")
        context.defer(lambda: iscsiadm(*self._node, "--op", "delete"))
        pairs: list[str] = []
        for name, value in {**_RECORD, **(settings or {})}.items():
            pairs += ["--name", name, "--value", value]
        iscsiadm(*self._node, "--op", "update", *pairs)
        context.defer(self._log_out_if_left)

    def log_in(self) -> "Session":
        """A new session; its LUN 0 must be a disk."""
        log = KernelLog(self.context)
        iscsiadm(*self._node, "--login")
        return Session(self, log)

    def log_out(self) -> None:
        """Ends the session in an orderly way."""
        iscsiadm(*self._node, "--logout")

    def session_folders(self) -> "list[Path]":
        """The sessions with the target in sysfs."""
        return [path for path in _session_folders() if _session_name(path) == self.target.iqn]

    def _log_out_if_left(self) -> None:
        if self.session_folders():
            self.log_out()


def _session_folders() -> Iterator[Path]:
    if _SESSIONS.is_dir():
        yield from _SESSIONS.iterdir()


def _session_name(folder: Path) -> str:
    try:
        return read(folder / "targetname")
    except OSError:
        # It has just ended.
        return ""


class Session:
    """A session of the kernel's initiator and the disk that came with it."""

    def __init__(self, initiator: Initiator, log: KernelLog) -> None:
        self.log = log
        (self.folder,) = initiator.session_folders()
        address = until(self._address, "a SCSI device of the session")
        self.disk = Disk(initiator.context, address, log)

    def _address(self) -> str:
        # sessionN/device/targetH:C:T/H:C:T:L
        found = [
            path.name for path in (self.folder / "device").glob("target*/*:0") if path.is_dir()
        ]
        return found[0] if found else ""

    def state(self) -> str:
        """``LOGGED_IN``, ``FAILED``, ``FREE``; empty if it is gone."""
        try:
            return read(self.folder / "state")
        except OSError:
            return ""

    def breaks(self) -> int:
        """How often the initiator has given its connection up so far."""
        return self.log.count("detected conn error")


def left_over() -> list[str]:
    """What the target and the initiator still have: sessions, targets, threads."""
    found = [path.name for path in _session_folders()]
    if _FABRIC.is_dir():
        found += [path.name for path in _FABRIC.iterdir() if path.name.startswith(_IQN)]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                name = read(entry / "comm")
                if name in ("iscsi_np", "iscsi_trx", "iscsi_ttx"):
                    found.append(f"thread {name}")
    return found


def unload() -> None:
    """Takes the target's module out, which only works when nothing uses it."""
    others = [path.name for path in _FABRIC.iterdir() if path.name[:4] in ("iqn.", "eui.", "naa.")]
    if others:
        raise Skip(f"other iSCSI targets are in use: {', '.join(others)}")
    _FABRIC.rmdir()
    done = subprocess.run(
        ["rmmod", "iscsi_target_mod"], check=False, text=True, capture_output=True,
        timeout=30 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

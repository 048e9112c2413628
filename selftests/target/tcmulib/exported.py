# SPDX-License-Identifier: GPL-2.0
"""Devices that an iSCSI target exports, for initiators that say what the test wants."""

from ksftlib.files import write
from ksftlib.ktap import Context, equal

from . import reserve as reservation
from .configfs import Device
from .iscsi import Target
from .iscsi_raw import RawSession
from .ram import Ram
from .rig import Rig
from .scsi import BLOCK, GOOD, TEST_UNIT_READY, read10


class Exported:
    """A device as LUN 0 of an iSCSI target. `window` is the number of commands of a session."""

    def __init__(self, context: Context, device: Device, window: int = 64) -> None:
        self.context = context
        self.device = device
        self.target = Target(context)
        write(self.target.tpg / "attrib/default_cmdsn_depth", str(window))
        self.link = self.target.add_lun(device)
        self.target.enable()

    def relax(self) -> None:
        """Makes sure that every command gets an answer."""
        raise NotImplementedError

    def session(self, like: "RawSession | None" = None) -> RawSession:
        """Another nexus, ready for commands; of the same initiator port as `like` but for its ISID."""
        session = RawSession(self.context, self.target, like=like)
        # Before it is logged out: nothing may wait for a held command then.
        self.context.defer(self.relax)
        become_ready(session)
        return session


def become_ready(session: RawSession) -> None:
    """Takes the unit attentions of a nexus; fails the test if it does not become ready."""
    for _ in range(3):
        if session.wait(session.command(TEST_UNIT_READY)).code == GOOD:
            return
    raise AssertionError("the unit does not become ready")


def send_reads(session: RawSession, count: int) -> list[int]:
    """Sends so many reads of 4 KiB; returns their tags."""
    return [session.command(read10(8 * (n % 64), 8), read=8 * BLOCK) for n in range(count)]


def send_prout(session: RawSession, *order: int, **kind: int) -> int:
    """PERSISTENT RESERVE OUT, with the arguments of `reserve.prout`; returns its tag."""
    cdb, parameters = reservation.prout(*order, **kind)
    return session.command(cdb, write=parameters)


def reserve(session: RawSession, *order: int, **kind: int) -> None:
    """The same, which must succeed."""
    code = session.wait(send_prout(session, *order, **kind)).code
    equal(code, GOOD, f"status of service action {order[0]}")


def register(*sessions: RawSession) -> None:
    """Registers nexuses with the keys 1, 2, ...; the first one holds the reservation."""
    for key, session in enumerate(sessions, start=1):
        reserve(session, reservation.REGISTER, 0, key)
    reserve(sessions[0], reservation.RESERVE, 1)


class ExportedTcmu(Exported):
    """A served device of tcmu. `notify` is its tmr_notification, `timeout` its cmd_time_out.

    With `persistent` it keeps persistent reservations. `more` are other attributes.
    """

    def __init__(
        self,
        context: Context,
        notify: bool = True,
        window: int = 64,
        timeout: int = 0,
        persistent: bool = False,
        **more: "str | int",
    ) -> None:
        attributes: dict[str, "str | int"] = {
            "tmr_notification": int(notify),
            "cmd_time_out": timeout,
            **more,
        }
        self.rig = Rig(context, attributes=attributes)
        self.daemon = self.rig.daemon
        if persistent:
            reservation.allow(context, self.rig.device)
        super().__init__(context, self.rig.device, window)

    def relax(self) -> None:
        """Makes sure that every command gets an answer."""
        self.rig.relax()

    def hold(self, session: RawSession, count: int = 1) -> list[int]:
        """Makes the daemon hold so many reads of a session; returns their tags."""
        self.daemon.ctl("hold read")
        before = len(self.daemon.held())
        tags = send_reads(session, count)
        self.daemon.wait_held(before + count)
        return tags

    def statistic(self, name: str) -> int:
        """A counter of the device's task management, from configfs."""
        return self.rig.statistics("scsi_tgt_dev")[name]


class ExportedRam(Exported):
    """A device of the sample backend. `tas` is the TAS bit of its control mode page."""

    def __init__(self, context: Context, tas: int, ram: "Ram | None" = None) -> None:
        self.ram = ram or Ram(context)
        self.ram.device.set_attrib("emulate_tas", tas)
        super().__init__(context, self.ram.device)

    def relax(self) -> None:
        """Makes sure that every command gets an answer."""
        self.ram.relax()

    def hold(self, session: RawSession, count: int = 1) -> list[int]:
        """Makes the backend keep so many reads of a session; returns their tags."""
        self.ram.hold()
        before = self.ram.number("held")
        tags = send_reads(session, count)
        self.ram.wait_held(before + count)
        return tags

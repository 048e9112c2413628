# SPDX-License-Identifier: GPL-2.0
"""PERSISTENT RESERVE OUT (SPC-4 6.14)."""

from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import Context

from .configfs import TARGET, Device

#: Service actions.
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE = range(7)

#: Reservation types: who may write, or read and write, besides the holder. With ALL_REGISTRANTS
#: every registrant holds the reservation.
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS = 0x01, 0x03
WRITE_REGISTRANTS_ONLY, EXCLUSIVE_REGISTRANTS_ONLY = 0x05, 0x06
WRITE_ALL_REGISTRANTS, EXCLUSIVE_ALL_REGISTRANTS = 0x07, 0x08


def allow(context: Context, device: Device) -> None:
    """Makes a device able to keep registrations."""
    # The target keeps them in a file, named after the serial number, even if they are not to
    # outlive a power loss.
    serial = f"tcmu-selftest-{device.hba.number}"
    folder = Path(read(TARGET / "dbroot")) / "pr"
    folder.mkdir(parents=True, exist_ok=True)
    write(device.path / "wwn" / "vpd_unit_serial", serial)
    context.defer(lambda: (folder / f"aptpl_{serial}").unlink(missing_ok=True))


def prout(
    action: int, key: int, action_key: int = 0, kind: int = EXCLUSIVE_REGISTRANTS_ONLY
) -> tuple[bytes, bytes]:
    """CDB and parameter list; `key` is the nexus's own reservation key, `kind` a reservation type."""
    kind = 0 if action == REGISTER else kind
    parameters = key.to_bytes(8, "big") + action_key.to_bytes(8, "big") + bytes(8)
    return bytes([0x5F, action, kind, 0, 0, 0, 0, 0, len(parameters), 0]), parameters

# SPDX-License-Identifier: GPL-2.0
"""What of files and writes is recorded of a device."""

import re
import stat

from ksftlib.golden import Look

from .configfs import Device

#: What differs from one run to the next, and what is recorded instead.
_VOLATILE = (
    # The address of the mapping is the kernel's own.
    (re.compile(r"^0x[0-9a-f]{16}(?=\n$)"), "0xADDRESS"),
    (re.compile(r"^HBA Index: \d+ "), "HBA Index: NUMBER "),
    (re.compile(r"\buser_\d+"), "user_HBA"),
    (re.compile(r"\btcm-user/\d+"), "tcm-user/HBA"),
    (re.compile(r"\buio\d+"), "uioMINOR"),
    (re.compile(r"^\d+:\d+(?=\n$)"), "MAJOR:MINOR"),
    (re.compile(r"(?m)^(MAJOR|MINOR)=\d+"), r"\1=NUMBER"),
)

LOOK = Look(_VOLATILE)


def attempts(device: Device, file: str, texts: "tuple[str, ...]") -> list[str]:
    """Writes each of `texts` to a file of the device, and reads it again."""
    path = device.path / file
    readable = bool(path.stat().st_mode & stat.S_IRUSR)
    return [
        LOOK.written(path, text, file) + (f" {LOOK.content(path)}" if readable else "")
        for text in texts
    ]

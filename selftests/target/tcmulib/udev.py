# SPDX-License-Identifier: GPL-2.0
"""Keeps udev away from the disks of the tests."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ktap import Context

_CONTROL = Path("/run/udev/control")

#: Seconds for it to do what it is told.
_LIMIT = 240

#: Before 60-persistent-storage.rules, in the folder that a reboot empties.
_RULES = Path("/run/udev/rules.d/59-target-selftest.rules")

#: Disks of the loopback and of iSCSI sessions. udev would ask each for its identity, its file
#: system and its partitions when it appears, is changed or was written to: commands that a
#: test would take for its own.
_TEXT = "# SPDX-License-Identifier: GPL-2.0\n" + "".join(
    f'SUBSYSTEM=="block", DEVPATH=="{path}", '
    'ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1", OPTIONS:="nowatch"\n'
    for path in ("*/tcm_loop_adapter_*", "*/session[0-9]*/target[0-9]*")
)


def leave_disks_alone(context: "Context") -> None:
    """From now on, until `context` is undone, udev sends no commands to disks that appear."""
    if not _CONTROL.exists():
        return
    _RULES.parent.mkdir(parents=True, exist_ok=True)
    _RULES.write_text(_TEXT, encoding="ascii")
    context.defer(_reload)
    context.defer(lambda: _RULES.unlink(missing_ok=True))
    _reload()


def _reload() -> None:
    if not _control("--reload"):
        # It may have ended meanwhile; then there is nothing to keep away.
        assert not _control("--ping"), "udev does not take the rules"


def _control(order: str) -> bool:
    """Whether udev has carried out an order; it is waited for, for long on a slow machine."""
    command = ["udevadm", "control", order, f"--timeout={_LIMIT}"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=2 * _LIMIT)
    return done.returncode == 0

# SPDX-License-Identifier: GPL-2.0
"""Keeps udev away from the disks of the tests."""

import subprocess
from pathlib import Path

from .ktap import PATIENCE, Context

_CONTROL = Path("/run/udev/control")

#: Seconds for it to do what it is told.
_LIMIT = 240

#: Before 60-persistent-storage.rules, in the folder that a reboot empties.
_RULES = Path("/run/udev/rules.d/59-kselftest.rules")


def leave_alone(context: Context, *paths: str) -> None:
    """From now on, until `context` is undone, udev sends no commands to disks that appear.

    It would ask each for its identity, its file system and its partitions when it appears, is
    changed or was written to: commands that a test would take for its own. `paths` are patterns
    of their DEVPATH.
    """
    if not _CONTROL.exists():
        return
    rules = "# SPDX-License-Identifier: GPL-2.0\n" + "".join(
        f'SUBSYSTEM=="block", DEVPATH=="{path}", '
        'ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}="1", OPTIONS:="nowatch"\n'
        for path in paths
    )
    _RULES.parent.mkdir(parents=True, exist_ok=True)
    _RULES.write_text(rules, encoding="ascii")
    context.defer(_reload)
    context.defer(lambda: _RULES.unlink(missing_ok=True))
    _reload()


def end() -> None:
    """Ends udev, in a machine where nobody needs it."""
    if _CONTROL.exists():
        subprocess.run(["udevadm", "control", "--exit"], check=True, timeout=60 * PATIENCE)
        _CONTROL.unlink(missing_ok=True)


def _reload() -> None:
    if not _control("--reload"):
        # It may have ended meanwhile; then there is nothing to keep away.
        assert not _control("--ping"), "udev does not take the rules"


def _control(order: str) -> bool:
    """Whether udev has carried out an order; it is waited for, for long on a slow machine."""
    command = ["udevadm", "control", order, f"--timeout={_LIMIT}"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=2 * _LIMIT)
    return done.returncode == 0

# SPDX-License-Identifier: GPL-2.0
"""nvme-cli, as administrators use it."""

import json
import shutil
import subprocess
from typing import Any

from ksftlib.ktap import PATIENCE, Skip

from .address import Address
from .host import HOST_ID, HOST_NQN


def nvme(*arguments: str) -> str:
    """What the command says; it must succeed."""
    program = shutil.which("nvme")
    if not program:
        raise Skip("nvme is not in PATH (Debian package nvme-cli)")
    done = subprocess.run(
        [program, *arguments], check=False, text=True, capture_output=True, timeout=60 * PATIENCE
    )
    assert done.returncode == 0, f"nvme {' '.join(arguments)}: {done.returncode}, {done.stderr}"
    return done.stdout


def nvme_json(*arguments: str) -> Any:
    """The same, as JSON."""
    return json.loads(nvme(*arguments, "--output-format=json"))


def ports(target: Address, host: Address) -> list[str]:
    """The arguments that say which port of the host is to reach which of a target."""
    return [
        "--transport=fc", f"--traddr={target.traddr}", f"--host-traddr={host.traddr}",
        f"--hostnqn={HOST_NQN}", f"--hostid={HOST_ID}",
    ]  # fmt: skip

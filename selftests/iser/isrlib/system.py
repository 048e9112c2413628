# SPDX-License-Identifier: GPL-2.0
"""Commands."""

import subprocess

from ksftlib.ktap import PATIENCE

#: Seconds for a command that ends at once.
_COMMAND = 20.0


def run(*command: str, seconds: float = _COMMAND, given: str = "") -> str:
    """Standard output of a command; fails the test with its errors if it fails.

    `given` is its standard input.
    """
    done = subprocess.run(
        command, text=True, capture_output=True, input=given, check=False,
        timeout=seconds * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}, {done.stderr.strip()}"
    return done.stdout

# SPDX-License-Identifier: GPL-2.0
"""Disk images, and what qemu-img finds in them."""

import json
import subprocess
from pathlib import Path

from .ktap import PATIENCE, equal


def qemu_img(*arguments: "str | Path") -> str:
    """Output of qemu-img, which must succeed."""
    done = subprocess.run(
        ["qemu-img", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
    )
    equal(done.returncode, 0, f"status of qemu-img {arguments[0]} ({done.stderr.strip()})")
    return done.stdout


def contents(image: Path, form: str = "qcow2") -> bytes:
    """What a guest would see in an image."""
    raw = image.with_suffix(".converted")
    qemu_img("convert", "-f", form, "-O", "raw", image, raw)
    data = raw.read_bytes()
    raw.unlink()
    return data


def check(image: Path) -> None:
    """Fails the test if the qcow2 image is inconsistent."""
    found = json.loads(qemu_img("check", "--output=json", image))
    equal((found["check-errors"], found.get("corruptions", 0)), (0, 0), "errors, corruptions")


def holds(found: bytes, written: dict[int, bytes]) -> None:
    """Fails the test unless `found` has these bytes at these offsets."""
    assert written, "nothing was written"
    for offset, data in written.items():
        assert found[offset : offset + len(data)] == data, f"other data at {offset}"

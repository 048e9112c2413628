# SPDX-License-Identifier: GPL-2.0
"""Small files of the kernel: sysfs, configfs, procfs, debugfs."""

import ctypes
import os
from pathlib import Path

from .ktap import Context

_libc = ctypes.CDLL(None, use_errno=True)
_libc.write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_libc.write.restype = ctypes.c_ssize_t


def read(path: Path) -> str:
    """A small file without its last newline."""
    text = path.read_text(encoding="ascii", errors="backslashreplace")
    return text[:-1] if text.endswith("\n") else text


def write(path: Path, text: str) -> None:
    """Writes with one write(2); raises OSError with the kernel's errno."""
    data = text.encode()
    descriptor = os.open(path, os.O_WRONLY)
    try:
        # Not os.write(): it tries again after EINTR, which some files return for good.
        written = _libc.write(descriptor, data, len(data))
        if written < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
        assert written == len(data), f"{path} took {written} bytes of {text!r}"
    finally:
        os.close(descriptor)


def set_for_test(context: Context, path: Path, value: str) -> None:
    """Writes a setting that gets its old value back after the test."""
    before = read(path)
    write(path, value)
    context.defer(lambda: write(path, before))

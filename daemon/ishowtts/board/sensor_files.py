"""Reads the small files of sysfs, procfs and /etc. What cannot be read, or is not plausible, is `None`."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MAX_BYTES = 256 * 1024  # no sensor writes more; nvpmodel.conf is the longest file here
_WHOLE_NUMBER = re.compile("-?[0-9]{1,20}")
# What drivers and firmware report for "no value": the ends of the integer types.
_NO_VALUE = frozenset(sign * 2**bits - off for bits in (31, 32, 63, 64) for sign in (1, -1) for off in (0, 1))


def read_text(path: Path | str, max_bytes: int = _MAX_BYTES) -> str | None:
    """Reads a small file, without NULs and surrounding white space. Returns `None` on an error or an empty file.

    This does not use `Path.read_text` or `util.files`: if the kernel answers EAGAIN, as it does for a thermal zone that
    is powered off, Python's buffered files raise TypeError. O_NONBLOCK: no sensor may block the daemon.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    found = b""
    try:
        while len(found) < max_bytes and (more := os.read(handle, 65536)):
            found += more
    except OSError:
        return None
    finally:
        os.close(handle)
    return found.decode("utf-8", "replace").strip("\x00 \t\r\n") or None


def read_scaled(path: Path | str, factor: float, low: float, high: float) -> float | None:
    """Reads a whole number and multiplies it.

    Returns:
        `None` if there is no number, if it is the end of an integer type, or if the product is not in `low` to `high`.
    """
    number = read_count(path)
    if number is None:
        return None
    value = number * factor
    return value if low <= value <= high else None


def read_count(path: Path | str) -> int | None:
    """Reads a whole number. Returns `None` if there is none, or if it is the end of an integer type."""
    text = read_text(path)
    if text is None or _WHOLE_NUMBER.fullmatch(text) is None:
        return None
    number = int(text)
    return None if number in _NO_VALUE else number

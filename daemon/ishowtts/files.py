"""Opens files that somebody else may have put there: without waiting, and without reading more than is asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_ordinary(path: Path, most_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Opens an ordinary file for reading. Links are followed.

    Args:
        path: a pipe or a device is refused and never waited for.
        most_bytes: a larger file is refused. `None`: any size.

    Raises:
        OSError: it cannot be opened, is not an ordinary file, or is too large; `strerror` says which.
    """
    # O_NONBLOCK: to open a pipe without a writer would wait for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        if most_bytes is not None and found.st_size > most_bytes:
            raise OSError(errno.EFBIG, _too_large(most_bytes), str(path))
        yield file


def _too_large(most_bytes: int) -> str:
    limit = f"{most_bytes // 1_000_000} MB" if most_bytes % 1_000_000 == 0 else f"{most_bytes} bytes"
    return f"it is larger than {limit}"


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Reads a whole ordinary file.

    Raises:
        OSError: as `open_ordinary`, also where the file has grown beyond `most_bytes` meanwhile.
    """
    with open_ordinary(path, most_bytes) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, _too_large(most_bytes), str(path))
    return content

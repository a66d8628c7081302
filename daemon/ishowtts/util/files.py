"""Files and folders that somebody else may have put there.

They are opened without waiting and read without growing; root writes only where nobody else could lead it elsewhere.
"""

from __future__ import annotations

import errno
import os
import pwd
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


def make_folder(folder: Path) -> None:
    """Makes a folder that all may read, with those above it, and refuses one that `refuse_foreign` refuses.

    Raises:
        OSError: with a clause in `strerror`.
    """
    refuse_foreign(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)  # whatever root's umask is
    refuse_foreign(folder)


def refuse_foreign(folder: Path) -> None:
    """For root: refuses a folder in whose path another user could put a link, now or later.

    Each part of the path, and of the path that its links lead to, must be root's own, and writable for root alone or
    sticky as /tmp is. What does not exist yet is passed over. Others than root may write where they may.

    Raises:
        OSError: `strerror` names the part of the path and its owner.
    """
    if os.geteuid() != 0:
        return
    for path in (folder.absolute(), folder.resolve()):
        for part in (*reversed(path.parents), path):
            try:
                found = part.lstat()
            except FileNotFoundError:
                break
            if found.st_uid != 0:
                raise OSError(
                    errno.EINVAL, f"{part} belongs to {_user(found.st_uid)}, who could lead root anywhere", str(folder)
                )
            shared = found.st_mode & 0o002 or (found.st_mode & 0o020 and found.st_gid != 0)
            if shared and not found.st_mode & stat.S_ISVTX and not stat.S_ISLNK(found.st_mode):
                raise OSError(errno.EINVAL, f"others than root may write in {part}", str(folder))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

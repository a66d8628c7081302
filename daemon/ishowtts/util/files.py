"""Safe access to files and folders that another user may have put there.

Reading never waits for a pipe and never reads more than the limit. Root writes only into folders that no other user
can redirect with a link.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_regular(
    path: str | Path, max_bytes: int | None = None, *, follow_links: bool = True, dir_fd: int | None = None
) -> Iterator[BinaryIO]:
    """Opens a regular file for reading. A pipe or a device is refused without waiting for it.

    Args:
        path: The file.
        max_bytes: A larger file is refused; `None` means no limit.
        follow_links: False refuses a link in the last part of `path` (ELOOP).
        dir_fd: Descriptor of the folder that a relative `path` starts from.

    Raises:
        OSError: The file cannot be opened, is not a regular file, or is too large; `strerror` says which.
    """
    # O_NONBLOCK: opening a pipe that has no writer would block for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, dir_fd=dir_fd)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if max_bytes is not None and status.st_size > max_bytes:
            raise OSError(errno.EFBIG, _too_large(max_bytes), str(path))
        # Only now: `fdopen` raises for a folder, and without the path.
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _too_large(max_bytes: int) -> str:
    limit = f"{max_bytes // 1_000_000} MB" if max_bytes % 1_000_000 == 0 else f"{max_bytes} bytes"
    return f"it is larger than {limit}"


def read_bounded(path: Path, max_bytes: int, *, follow_links: bool = True) -> bytes:
    """Reads a whole regular file.

    Raises:
        OSError: As `open_regular`, and if the file grows beyond `max_bytes` during the reading.
    """
    with open_regular(path, max_bytes, follow_links=follow_links) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, _too_large(max_bytes), str(path))
    return content


def file_version(path: Path, *, follow_links: bool = True, with_ctime: bool = True) -> str:
    """Returns a string that differs after each change of the file: size, mtime, inode and ctime.

    Args:
        path: The file.
        follow_links: False returns the version of the link itself.
        with_ctime: Include the time that nobody can set back: a copy may keep its mtime. Leave it out for versions that
            are stored, because `chmod` and `chown` change it too.

    Raises:
        OSError: The file does not exist or cannot be read.
    """
    status = path.stat(follow_symlinks=follow_links)
    version = f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
    return f"{version} {status.st_ctime_ns}" if with_ctime else version


def make_private_folder(folder: Path, mode: int = 0o700, ours: Callable[[str], bool] = lambda _name: True) -> None:
    """Creates a folder that other users cannot enter, or takes their rights from one that exists.

    Args:
        folder: The folder. Its parents get the usual rights.
        mode: Its mode, whatever the umask is.
        ours: Whether a name in a folder that exists is one of our own. A folder that holds others, such as a home,
            keeps its rights, and so does one that belongs to another user or is shared like /tmp.

    Raises:
        OSError: The folder cannot be created.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    with suppress(OSError):
        if not folder.stat().st_mode & stat.S_ISVTX and all(ours(each.name) for each in folder.iterdir()):
            take_rights(folder, mode)


def take_rights(path: Path, mode: int) -> None:
    """Takes all rights beyond `mode` from a file or folder of this user. One of another user is left as it is."""
    status = path.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o777 & ~mode:
        with suppress(PermissionError):
            path.chmod(status.st_mode & mode)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on disk: a rename, a new file, a removal. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(top: Path) -> None:
    """Waits until a folder with all that is in it is on disk. Not sync(2), which waits for all other disks too."""
    for each in (top, *top.rglob("*")):
        if each.is_symlink():
            continue
        descriptor = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Creates a folder that everybody may read, with its parents. Refuses what `refuse_foreign` refuses.

    Raises:
        OSError: `strerror` holds a clause that says why.
    """
    refuse_foreign(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)  # whatever root's umask is
    refuse_foreign(folder)


def refuse_foreign(folder: Path) -> None:
    """Refuses, for root, a folder whose path another user could redirect with a link, now or later.

    Each part of the path, and of the path that its links lead to, must belong to root. It must be writable for root
    only, or sticky like /tmp. Parts that do not exist yet are skipped. Users other than root may write wherever the
    system lets them.

    Raises:
        OSError: `strerror` names the part of the path and its owner.
    """
    if os.geteuid() != 0:
        return
    for path in (folder.absolute(), folder.resolve()):
        for part in (*reversed(path.parents), path):
            try:
                status = part.lstat()
            except FileNotFoundError:
                break
            if status.st_uid != 0:
                raise OSError(
                    errno.EINVAL,
                    f"{part} belongs to {_user(status.st_uid)}, who could redirect root's writes",
                    str(folder),
                )
            shared = status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != 0)
            if shared and not status.st_mode & stat.S_ISVTX and not stat.S_ISLNK(status.st_mode):
                raise OSError(errno.EINVAL, f"users other than root may write in {part}", str(folder))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

"""Takes the rights of another user for a while, so that root cannot be led astray by what that user has made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """If run by root, take the rights of the user who owns a folder.

    SQLite opens the -wal and -shm files of a queue for writing even to read it, and follows links: root would write
    through a link that the user of the service had placed there.
    """
    owner = folder.stat() if os.geteuid() == 0 and folder.exists() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    with as_user(owner.st_uid, owner.st_gid, [owner.st_gid]):
        yield


@contextmanager
def as_user(user_id: int, group_id: int, group_ids: Sequence[int]) -> Iterator[None]:
    """Take the rights of another user, and give them back at the end. Only root may do this."""
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(group_ids)
        os.setegid(group_id)
        os.seteuid(user_id)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)

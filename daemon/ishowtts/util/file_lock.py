"""Excludes other programs from a file or a folder."""

from __future__ import annotations

import fcntl
import time

_POLL_S = 0.05


def lock_file(descriptor: int, wait_s: float = 0.0) -> bool:
    """Lock an open file or folder (flock). Return whether it is locked; it is not if somebody else holds the lock.

    The kernel releases the lock when the descriptor, and every copy that a child process inherited, is closed.

    Args:
        wait_s: For how long to wait for the end of another lock.

    Raises:
        OSError: The file system has no locks.
    """
    ends_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True

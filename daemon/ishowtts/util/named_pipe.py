"""Opens named pipes (FIFOs) for writing, and says why one cannot be used."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
import termios
from pathlib import Path

_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is written there


def fifo_problem(path: Path) -> tuple[str, str] | None:
    """Returns why a path cannot be used as a pipe, and the fix; `None` if it is a FIFO. Opens nothing."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        hint = ", in another folder if this is a service" if private_tmp(path) is not None else ""
        return f"the pipe {path} does not exist", f"start the program that makes it, or run mkfifo {path}{hint}"
    except OSError as error:
        return f"the pipe {path} cannot be reached ({error.strerror})", "let this user search its folders"
    if stat.S_ISFIFO(mode):
        return None
    if stat.S_ISLNK(mode):
        return f"{path} is a link, which is not followed", "name the pipe itself after pipe:"
    return f"{path} is not a named pipe", "name another path after pipe:, or remove it and run mkfifo"


def private_tmp(path: Path) -> Path | None:
    """Returns the folder above a path of which a service with `PrivateTmp=` has its own; `None` if there is none."""
    return next((folder for folder in _PRIVATE_TMP if path.is_relative_to(folder)), None)


def open_for_writing(path: Path) -> int:
    """Opens a FIFO without waiting, even if nobody reads it, and returns the descriptor. Follows no link.

    A program that reads a FIFO without a writer may close it and open it again and again, as snapserver does every
    100 ms. A plain open for writing fails (ENXIO) in the time between, which is nearly always.

    Raises:
        OSError: It cannot be opened for reading and writing, or it is not a FIFO.
    """
    both = os.open(path, os.O_RDWR | os.O_NOFOLLOW | _FLAGS)
    try:
        if not stat.S_ISFIFO(os.fstat(both).st_mode):
            raise OSError(errno.EINVAL, "it is not a named pipe", str(path))
        return os.open(f"/proc/self/fd/{both}", os.O_WRONLY | _FLAGS)
    finally:
        os.close(both)


def has_reader(descriptor: int) -> bool:
    """Whether any program has the pipe open for reading. `descriptor` is open for writing."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return not any(events & select.POLLERR for _, events in poll.poll(0))


def queued_bytes(descriptor: int) -> int:
    """Returns how many bytes are in the pipe."""
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]
    return count


def discard(descriptor: int) -> None:
    """Takes everything out of the pipe. `descriptor` is open for writing. Raises OSError."""
    reader = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | _FLAGS)
    try:
        while count := queued_bytes(reader):
            os.read(reader, count)
    except BlockingIOError:
        pass  # another reader was faster
    finally:
        os.close(reader)

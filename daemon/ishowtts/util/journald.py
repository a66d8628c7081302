"""Sends log records to journald with fields, by its native protocol. A sender waits half a second for it at most.

The protocol is a datagram for each record (https://systemd.io/JOURNAL_NATIVE_PROTOCOL). libsystemd, and so
systemd-python, is not used: its call waits for ever if journald hangs with a full queue.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable

SOCKET = "/run/systemd/journal/socket"
"""The socket of journald. In a unit with `LogNamespace=`, systemd mounts that of the namespace here."""

_STALL_S = 0.5
_SEND_BUFFER_BYTES = 8 << 20  # as libsystemd asks for; the kernel gives at most twice net.core.wmem_max
_TIMEVAL = struct.Struct("@ll")
_BUSY = (errno.EAGAIN, errno.ENOBUFS)


def is_stderr() -> bool:
    """Whether journald reads the standard error of this process.

    systemd names the stream in JOURNAL_STREAM. Child processes inherit the variable, also if their standard error is
    a pipe or a terminal: only the numbers of device and inode tell.
    """
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    if not device or sys.stderr is None:
        return False
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or replaced by an object without a descriptor
        return False
    return (str(found.st_dev), str(found.st_ino)) == (device, inode)


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Returns the datagram of one record.

    A value with a newline is sent with its length, so that no part of it can be taken for another field. Other
    characters, such as NUL, have no meaning in the protocol.
    """
    parts: list[bytes] = []
    for name, text in fields:
        value = text.encode("utf-8", "backslashreplace")
        if b"\n" in value:
            parts += (name.encode(), b"\n", struct.pack("<Q", len(value)), value, b"\n")
        else:
            parts += (name.encode(), b"=", value, b"\n")
    return b"".join(parts)


class JournalSocket:
    """Sends datagrams to journald. Not thread-safe.

    A full queue is waited for once. Until journald takes a datagram again, no other one is waited for: a journald that
    hangs must not stop speech.

    Args:
        path: The socket of journald.
        stall_s: How long a full queue is waited for, in seconds.
    """

    def __init__(self, path: str = SOCKET, stall_s: float = _STALL_S) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        # Not settimeout(): Python would poll this socket, which is always writable, and try again without a pause.
        seconds, part_s = divmod(stall_s, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(seconds), int(part_s * 1e6)))
        self._stalled = False

    def send(self, datagram: bytes) -> bool:
        """Returns whether journald has taken a datagram. Never raises."""
        flags = socket.MSG_NOSIGNAL | (socket.MSG_DONTWAIT if self._stalled else 0)
        try:
            self._socket.sendto(datagram, flags, self._path)  # by its path, so that a restarted journald is found
        except OSError as error:
            self._stalled = error.errno in _BUSY
            return False
        self._stalled = False
        return True

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class StderrStream:
    """Writes to a standard error that journald reads, and never waits. Not thread-safe.

    Args:
        fd: The descriptor of standard error, a socket. It stays open.
    """

    def __init__(self, fd: int) -> None:
        self._stream = socket.socket(fileno=os.dup(fd))
        self._cut = False

    def write(self, text: str) -> bool:
        """Writes lines, which begin with priorities as in `<4>`. Returns whether all of them fit. Never raises."""
        # A write that was cut left half a line, which must not swallow the next one.
        data = ("\n" * self._cut + text + "\n").encode("utf-8", "backslashreplace")
        try:
            sent = self._stream.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return False
        self._cut = sent < len(data)
        return not self._cut

    def close(self) -> None:
        """Closes the copy of the descriptor."""
        self._stream.close()

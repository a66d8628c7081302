"""Frames between the daemon and its worker, and the channel that carries them.

A frame, numbers in network order:

    u32 length | u8 kind | u32 header length | header: a JSON object | payload: the rest

`length` counts what follows it, at most 8 MiB; the header has at most 1 MiB. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn

from ishowtts.errors import EngineError

VERSION = 1
MAX_FRAME_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_TEXT_CHARS = 1000
_CHUNK_BYTES = 1 << 18
_LENGTH = struct.Struct("!I")
_HEAD = struct.Struct("!BI")


class WireError(EngineError):
    """Bytes that are no frame, a frame out of turn, or a peer that does not read."""


class WireClosed(WireError):
    """The peer is gone."""


class FrameKind(IntEnum):
    """What a frame says, and who says it: `>` the daemon, `<` the worker."""

    HELLO = 1
    """< version, build, pid."""
    CONFIGURE = 2
    """> kind, options: which engine to make."""
    PROGRESS = 3
    """< phase, i, n."""
    READY = 4
    """< name, rate_hz, warm_s, the card of the default voice (`cards`) and `vitals`: loaded and warm."""
    PREPARE = 5
    """> seq, voice."""
    PREPARED = 6
    """< seq, cost_s, and the card of the voice (`cards`)."""
    RENDER = 7
    """> seq, segments: one, or several as one batch."""
    AUDIO = 8
    """< seq, index, rate_hz, engine, voice, nfe_step; payload: S16 mono in the machine's byte order."""
    DONE = 9
    """< seq, stages: seconds by name, and `vitals`."""
    CANCEL = 10
    """> seq."""
    ERROR = 11
    """< seq or null, class, message, sticky: whether the worker ends by it."""


@dataclass(frozen=True)
class Frame:
    """One message. The getters check what came over the wire."""

    kind: FrameKind
    header: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def integer(self, key: str) -> int:
        """A whole number of the header. Raises WireError."""
        value = self.header.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(key, "a whole number")
        return value

    def number(self, key: str) -> float:
        """A finite number of the header. Raises WireError."""
        value = self.header.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            self._refuse(key, "a finite number")
        return float(value)

    def text(self, key: str) -> str:
        """A string of the header, cut at 1,000 characters, without lone surrogates. Raises WireError."""
        value = self.header.get(key)
        if not isinstance(value, str):
            self._refuse(key, "text")
        # It is logged, published and stored, where half a character is an error.
        return value[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        raise WireError(f"the {self.kind.name.lower()} frame has no {key} that is {wanted}")


def encode(frame: Frame) -> bytes:
    """A frame as bytes.

    Raises:
        WireError: it is larger than 8 MiB, or its header is not JSON.
    """
    try:
        header = json.dumps(frame.header, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"the {frame.kind.name.lower()} frame cannot be written: {error}") from error
    length = _HEAD.size + len(header) + len(frame.payload)
    if length > MAX_FRAME_BYTES:
        raise WireError(f"the {frame.kind.name.lower()} frame has {length} bytes; 8 MiB is the most")
    return _LENGTH.pack(length) + _HEAD.pack(frame.kind, len(header)) + header + frame.payload


class FrameDecoder:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, or `None` until more is fed.

        Raises:
            WireError: these bytes are no frame. The stream cannot be read any further.
        """
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if not _HEAD.size <= length <= MAX_FRAME_BYTES:
            raise WireError(f"a frame cannot have {length} bytes")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return _decode_body(body)


def _decode_body(body: bytes) -> Frame:
    kind, header_bytes = _HEAD.unpack_from(body)
    header_end = _HEAD.size + header_bytes
    if header_bytes > MAX_HEADER_BYTES:
        # 8 MiB of empty lists take 200 MB once they are read.
        raise WireError(f"a frame's header cannot have {header_bytes} bytes")
    if header_end > len(body):
        raise WireError("a frame's header is longer than the frame")
    try:
        header = json.loads(body[_HEAD.size : header_end], parse_constant=_no_constant)
        known = FrameKind(kind)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise WireError("a frame's header is no JSON object")
    return Frame(known, header, body[header_end:])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class Channel:
    """Frames over a connected stream socket.

    Any thread may send; one thread receives, and the same one closes.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._sending = threading.Lock()
        self._decoder = FrameDecoder()
        self._closed = False

    def fileno(self) -> int:
        """To wait on, for reading."""
        return self._socket.fileno()

    def send(self, frame: Frame, timeout_s: float) -> None:
        """Send one whole frame.

        Raises:
            WireClosed: the peer is gone, or this end is closed.
            WireError: too large, or the peer did not take it in time; the stream is then broken.
        """
        data = memoryview(encode(frame))
        deadline = time.monotonic() + timeout_s
        with self._sending:
            while data:
                if self._closed:
                    raise WireClosed("the connection to the worker is closed")
                try:
                    data = data[self._socket.send(data) :]
                except BlockingIOError:
                    if not _wait(self._socket, select.POLLOUT, deadline - time.monotonic()):
                        self._shut_down()
                        raise WireError(f"a frame was not read within {timeout_s:g} s") from None
                except OSError as error:
                    raise WireClosed("the other end of the connection is gone") from error

    def receive(self, timeout_s: float | None) -> Frame | None:
        """The next frame; `None` when none was complete in time (what came of it is kept).

        Raises:
            WireClosed: the peer is gone.
            WireError: what came is no frame.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (frame := self._decoder.next()) is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _wait(self._socket, select.POLLIN, left):
                return None
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise WireClosed("the other end of the connection is gone") from error
            if not data:
                raise WireClosed("the other end of the connection is closed")
            self._decoder.feed(data)
        return frame

    def close(self) -> None:
        """Close this end; a send under way ends at once with WireClosed. Idempotent."""
        self._shut_down()
        with self._sending:
            self._socket.close()

    def _shut_down(self) -> None:
        self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # already gone: nothing is left to shut down


def _wait(sock: socket.socket, event: int, timeout_s: float | None) -> bool:
    poller = select.poll()
    poller.register(sock, event)
    return bool(poller.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000))

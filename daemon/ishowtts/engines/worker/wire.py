"""Frames between the daemon and its worker, and the channel that carries them.

Layout of a frame, with numbers in network byte order:

    u32 length | u8 kind | u32 header length | header: a JSON object | payload: the rest

`length` counts the bytes after it, at most 8 MiB. The header has at most 1 MiB. Nothing is ever unpickled.
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

VERSION = 2
MAX_FRAME_BYTES = 8 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_TEXT_CHARS = 1000
_CHUNK_BYTES = 1 << 18
_LENGTH = struct.Struct("!I")
_HEAD = struct.Struct("!BI")


class WireError(EngineError):
    """The peer sent bytes that are not a frame, or a frame out of turn; or the peer does not read."""


class WireClosed(WireError):
    """The peer is gone."""


class FrameKind(IntEnum):
    """Kind of a frame. Its docstring lists the header's fields; the daemon sends `>`, the worker sends `<`."""

    HELLO = 1
    """< version."""
    CONFIGURE = 2
    """> kind, options: which engine to build."""
    PROGRESS = 3
    """< phase, i, n."""
    READY = 4
    """< name, rate_hz, warm_s, voice info of the default voice and engine stats: the engine is loaded and warm."""
    PREPARE = 5
    """> seq, voice."""
    PREPARED = 6
    """< seq, and the voice info."""
    RENDER = 7
    """> seq, segments: one, or several that are spoken as one batch."""
    AUDIO = 8
    """< seq, index, rate_hz, engine, voice, nfe_step; payload: S16 mono samples in native byte order."""
    DONE = 9
    """< seq, and the engine stats."""
    CANCEL = 10
    """> seq."""
    ERROR = 11
    """< seq or null, class, message, fatal: whether the worker ends after it."""
    LOG = 12
    """> private: whether the log hides from now on what publishers wrote."""
    PING = 13
    """> The worker's reading thread answers it at once, also while the engine works."""
    PONG = 14
    """< The answer."""


@dataclass(frozen=True)
class Frame:
    """One message. The getters check the fields that the peer sent."""

    kind: FrameKind
    header: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def integer(self, key: str) -> int:
        """Returns an integer field of the header. Raises WireError if it is not one."""
        value = self.header.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            self._raise_wrong_type(key, "an integer")
        return value

    def number(self, key: str) -> float:
        """Returns a number of the header. Raises WireError if it is not a finite number."""
        value = self.header.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            self._raise_wrong_type(key, "a finite number")
        return float(value)

    def text(self, key: str) -> str:
        """Returns a string of the header, cut at 1,000 characters, without lone surrogates. Raises WireError."""
        value = self.header.get(key)
        if not isinstance(value, str):
            self._raise_wrong_type(key, "a string")
        # It is logged, published and stored, and there a lone surrogate is an error.
        return value[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()

    def _raise_wrong_type(self, key: str, wanted: str) -> NoReturn:
        raise WireError(f"in the {self.kind.name.lower()} frame, {key} is not {wanted}")


def encode(frame: Frame) -> bytes:
    """Encodes a frame.

    Raises:
        WireError: the frame is larger than 8 MiB, or its header cannot be written as JSON.
    """
    try:
        header = json.dumps(frame.header, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"the {frame.kind.name.lower()} frame cannot be encoded: {error}") from error
    length = _HEAD.size + len(header) + len(frame.payload)
    if length > MAX_FRAME_BYTES:
        raise WireError(f"the {frame.kind.name.lower()} frame has {length} bytes; the limit is 8 MiB")
    return _LENGTH.pack(length) + _HEAD.pack(frame.kind, len(header)) + header + frame.payload


class FrameDecoder:
    """Decodes a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Appends received bytes."""
        self._buffer += data

    def next(self) -> Frame | None:
        """Returns the next whole frame, or `None` if more bytes are needed.

        Raises:
            WireError: the bytes are not a frame. The stream cannot be read any further.
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
        # 8 MiB of empty lists take 200 MB once they are parsed.
        raise WireError(f"a frame's header cannot have {header_bytes} bytes")
    if header_end > len(body):
        raise WireError("a frame's header is longer than the frame")
    try:
        header = json.loads(body[_HEAD.size : header_end], parse_constant=_refuse_constant)
        frame_kind = FrameKind(kind)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a frame cannot be decoded: {error}") from error
    if not isinstance(header, dict):
        raise WireError("a frame's header is not a JSON object")
    return Frame(frame_kind, header, body[header_end:])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


class Channel:
    """Sends and receives frames over a connected stream socket.

    Any thread may send. One thread receives, and the same thread closes.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._send_lock = threading.Lock()
        self._decoder = FrameDecoder()
        self._closed = False

    def fileno(self) -> int:
        """Returns the descriptor to wait on for reading."""
        return self._socket.fileno()

    def send(self, frame: Frame, timeout_s: float) -> None:
        """Sends one whole frame.

        Raises:
            WireClosed: the peer is gone, or this end is closed.
            WireError: the frame is too large, or the peer did not read it in time; the stream is then broken.
        """
        data = memoryview(encode(frame))
        deadline = time.monotonic() + timeout_s
        with self._send_lock:
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
        """Returns the next frame, or `None` on timeout. A part of a frame that has arrived is kept.

        Raises:
            WireClosed: the peer is gone.
            WireError: the received bytes are not a frame.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (frame := self._decoder.next()) is None:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not _wait(self._socket, select.POLLIN, left_s):
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
        """Closes this end. A `send` of another thread fails at once with WireClosed. Idempotent."""
        self._shut_down()
        with self._send_lock:
            self._socket.close()

    def _shut_down(self) -> None:
        self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer is gone: nothing is left to shut down


def _wait(sock: socket.socket, event: int, timeout_s: float | None) -> bool:
    poller = select.poll()
    poller.register(sock, event)
    return bool(poller.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000))

"""A WebSocket client (RFC 6455) for text messages, with deadlines: enough for Home Assistant and for a browser."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from types import TracebackType

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class WebSocket:
    """`with WebSocket(host, port, path) as connection: …`."""

    def __init__(self, host: str, port: int, path: str, timeout_s: float = 20.0) -> None:
        self._timeout_s = timeout_s
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._received = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        deadline = self._deadline()
        while b"\r\n\r\n" not in self._received:
            self._more(deadline)
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            self._socket.close()
            raise ConnectionError(f"{path} is no WebSocket: {head[:200]!r}")

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        """Sends one message."""
        self._send(_TEXT, text.encode())

    def receive(self) -> str:
        """The next message.

        Raises:
            TimeoutError: None came in time.
            ConnectionError: The other side closed the connection.
        """
        deadline, message = self._deadline(), b""
        while True:
            first, second = self._take(2, deadline)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._take(2, deadline))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._take(8, deadline))
            payload = self._take(length, deadline)
            if first & 0xF == _CLOSE:
                raise ConnectionError("the other side closed the connection")
            if first & 0xF == _PING:
                self._send(_PONG, payload)
            elif first & 0xF != _PONG:
                message += payload
                if first & 0x80:
                    return message.decode()

    def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        else:
            length = struct.pack(">BH", 0xFE, size) if size < 1 << 16 else struct.pack(">BQ", 0xFF, size)
        # A client masks what it sends. With a mask of zeros the payload stays as it is.
        self._socket.sendall(bytes([0x80 | kind]) + length + bytes(4) + payload)

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._received) < count:
            self._more(deadline)
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout_s

    def _more(self, deadline: float) -> None:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the other side ended the connection")
        self._received += data

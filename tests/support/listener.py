"""A subscriber on a plain socket that records when each message came, and does not decode it."""

from __future__ import annotations

import socket
import struct
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType

from support.publisher import connect_packet, packet, split, string


class Listener:
    """`with Listener(host, port, topic) as listener: …`. It uses QoS 0, so that broker and listener have little work.

    Attributes:
        received: When each message came (CLOCK_MONOTONIC), and its payload.
    """

    def __init__(self, host: str, port: int, topic: str) -> None:
        self.received: list[tuple[float, bytes]] = []
        self._subscribed = threading.Event()
        self._socket = socket.create_connection((host, port), 5)
        self._socket.settimeout(None)
        self._topic = topic.encode()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def __enter__(self) -> Listener:
        name = f"listener-{uuid.uuid4().hex[:12]}"
        self._socket.sendall(connect_packet(name, 4) + packet(0x82, b"\0\1" + string(self._topic) + b"\0"))
        self._thread.start()
        assert self._subscribed.wait(5), "the subscription"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 18)
        except ConnectionResetError:  # the broker ended first
            return b""

    def _run(self) -> None:
        stream = b""
        while data := self._receive():
            at = time.monotonic()
            stream += data
            while found := split(stream):
                kind, body, stream = found
                if kind == 0x90:
                    self._subscribed.set()
                elif kind & 0xF0 == 0x30:
                    self.received.append((at, body[2 + struct.unpack(">H", body[:2])[0] :]))

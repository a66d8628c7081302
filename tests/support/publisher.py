"""A publisher of QoS 1 lines on a plain socket. It can flood a daemon, and knows what it published twice."""

from __future__ import annotations

import select
import socket
import struct
import time
import uuid
from collections import Counter
from collections.abc import Callable

_CONNACK, _PUBACK = 0x20, 0x40
_CONNECT_S = 5.0


class Publisher:
    """Publishes payloads on one topic. After a reconnect it publishes unacknowledged ones again.

    One thread uses it. `step` and `publish` never wait. It tries to connect every 50 ms if the broker is away.

    Args:
        protocol: 5 or 4 (MQTT 3.1.1).
        on_acknowledged: Called with each number that the broker acknowledged.

    Attributes:
        published: How often each number was sent. `published_at`: when it was last sent, in monotonic seconds.
        acknowledged: Numbers that the broker has acknowledged.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topic: str,
        *,
        protocol: int = 5,
        on_acknowledged: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._address = (host, port)
        self._topic = topic.encode()
        self._protocol = protocol
        self._on_acknowledged = on_acknowledged
        self._socket: socket.socket | None = None
        self._again_at = 0.0
        self._packets: PacketStream | None = None
        self._next_id = 0
        self._open: dict[int, tuple[int, bytes]] = {}  # packet id: number, payload
        self._unsent: list[tuple[int, bytes]] = []
        self.published: Counter[int] = Counter()
        self.published_at: dict[int, float] = {}
        self.acknowledged: set[int] = set()

    @property
    def pending(self) -> int:
        """How many payloads are not acknowledged."""
        return len(self._open) + len(self._unsent)

    def publish(self, number: int, payload: bytes) -> None:
        """Send now, or when the broker is back."""
        self._unsent.append((number, payload))
        self.step()

    def step(self, wait_s: float = 0.0) -> None:
        """Reconnect if needed, send what waits, and read acknowledgements for at most `wait_s`."""
        try:
            if self._socket is None and not self._connect():
                time.sleep(min(wait_s, 0.05))
                return
            self._send()
            self._receive(wait_s)
        except OSError:
            self.close()

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is acknowledged."""
        deadline = time.monotonic() + timeout_s
        while self.pending:
            assert time.monotonic() < deadline, f"{self.pending} lines were not acknowledged within {timeout_s:.0f} s"
            self.step(0.05)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> bool:
        if time.monotonic() < self._again_at:
            return False
        self._again_at = time.monotonic() + 0.05
        fresh = socket.create_connection(self._address, _CONNECT_S)
        self._socket, self._packets = fresh, PacketStream(fresh)
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"publisher-{uuid.uuid4().hex[:12]}"
        fresh.sendall(connect_packet(name, self._protocol))
        kind, body = self._packets.wait()
        if kind != _CONNACK or body[1] != 0:
            raise ConnectionRefusedError(f"the broker answers {kind:#x} {body!r}")
        # The broker may or may not have these: publish them again, as any careful publisher does.
        self._unsent = [*self._open.values(), *self._unsent]
        self._open.clear()
        return True

    def _send(self) -> None:
        assert self._socket is not None
        waiting, self._unsent = self._unsent, []
        data = []
        for number, payload in waiting:
            self._next_id = self._next_id % 65_535 + 1
            self._open[self._next_id] = (number, payload)
            self.published[number] += 1
            self.published_at[number] = time.monotonic()
            identifier = struct.pack(">H", self._next_id) + (b"\0" if self._protocol == 5 else b"")
            data.append(packet(0x32, string(self._topic) + identifier + payload))
        if data:
            self._socket.sendall(b"".join(data))

    def _receive(self, wait_s: float) -> None:
        assert self._packets is not None
        while select.select([self._socket], [], [], wait_s)[0]:
            wait_s = 0.0
            self._packets.receive()
            while (found := self._packets.take()) is not None:
                kind, body = found
                if kind == _PUBACK:
                    number, _ = self._open.pop(struct.unpack(">H", body[:2])[0])
                    self.acknowledged.add(number)
                    self._on_acknowledged(number)


class PacketStream:
    """The packets that come from a broker on a socket."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._incoming = b""

    def receive(self) -> None:
        """Reads what has come. Waits for something.

        Raises:
            ConnectionResetError: The broker has closed the connection.
        """
        data = self._source.recv(1 << 18)
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        self._incoming += data

    def take(self) -> tuple[int, bytes] | None:
        """The first byte and the body of the next packet that was read; `None` if there is no complete one."""
        found = split(self._incoming)
        if found is None:
            return None
        first, body, self._incoming = found
        return first, body

    def wait(self) -> tuple[int, bytes]:
        """The same. Waits until it is complete."""
        while (found := self.take()) is None:
            self.receive()
        return found


def split(stream: bytes) -> tuple[int, bytes, bytes] | None:
    """The first MQTT packet of a stream: first byte, body, and the rest. `None` if it is incomplete."""
    length, shift, at = 0, 0, 1
    while True:
        if at >= len(stream):
            return None
        length |= (stream[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not stream[at - 1] & 0x80:
            break
    if len(stream) < at + length:
        return None
    return stream[0], stream[at : at + length], stream[at + length :]


def connect_packet(name: str, protocol: int) -> bytes:
    """CONNECT with a clean session, in MQTT 5 or (4) 3.1.1."""
    properties = b"\0" if protocol == 5 else b""
    head = string(b"MQTT") + bytes([protocol, 2]) + struct.pack(">H", 60) + properties
    return packet(0x10, head + string(name.encode()))


def packet(kind: int, body: bytes) -> bytes:
    """A complete MQTT packet."""
    length, left = b"", len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length += bytes([digit | (0x80 if left else 0)])
        if not left:
            return bytes([kind]) + length + body


def string(text: bytes) -> bytes:
    """A string in the encoding of MQTT packets."""
    return struct.pack(">H", len(text)) + text

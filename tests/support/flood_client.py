"""A client that publishes and hears as fast as one thread can, with any MQTT 5 properties."""

from __future__ import annotations

import select
import socket
import uuid
from collections.abc import Callable, Sequence

from support.mqtt_packets import PUBACK, PUBLISH, SUBACK, decode, frame, properties, puback, publish, text
from support.publisher import PacketStream, connect_packet

_CONNACK = 2
_CONNECT_S = 10.0
Hear = Callable[[str, bytes, dict[int, list[object]]], None]


class FloodClient:
    """One connection for both directions. Nothing waits, except for at most `wait_s` in `step`.

    Args:
        hear: Called with topic, payload and properties of each message that comes.
    """

    def __init__(self, host: str, port: int, topics: Sequence[str], hear: Hear) -> None:
        self._hear = hear
        self._next_id = 0
        self._open: set[int] = set()
        self._socket = socket.create_connection((host, port), _CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._packets = PacketStream(self._socket)
        self._socket.sendall(connect_packet(f"flood-{uuid.uuid4().hex[:12]}", 5))
        self._await(_CONNACK)
        filters = b"".join(text(topic) + b"\1" for topic in topics)
        self._socket.sendall(frame(0x82, b"\0\1\0" + filters))
        self._await(SUBACK)

    @property
    def unacknowledged(self) -> int:
        """How many publishes the broker has not acknowledged."""
        return len(self._open)

    def publish(self, topic: str, payload: bytes, carried: bytes = properties()) -> None:
        """Sends a message at QoS 1.

        Args:
            carried: The properties field, as `mqtt_packets.properties` makes it.
        """
        self._next_id = self._next_id % 65_535 + 1
        self._open.add(self._next_id)
        self._socket.sendall(publish(5, topic, payload, qos=1, packet_id=self._next_id, properties=carried))

    def step(self, wait_s: float = 0.0) -> None:
        """Reads what has come, after waiting for something for at most `wait_s`."""
        while select.select([self._socket], [], [], wait_s)[0]:
            wait_s = 0.0
            self._packets.receive()
            while (found := self._packets.take()) is not None:
                self._handle(*found)

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _handle(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == PUBACK:
            self._open.discard(int.from_bytes(body[:2], "big"))
        elif kind == PUBLISH:
            packet = decode(first, body, 5)
            if packet["qos"]:
                self._socket.sendall(puback(5, packet["packet_id"]))
            self._hear(packet["topic"], packet["payload"], packet["properties"])
        else:
            raise ConnectionError(f"the broker sends a packet of kind {kind}: {body[:20]!r}")

    def _await(self, kind: int) -> None:
        found = self._packets.wait()
        assert found[0] >> 4 == kind, found

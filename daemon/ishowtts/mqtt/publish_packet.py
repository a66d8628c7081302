"""Reads PUBLISH packets, as MQTT 3.1.1 and 5 define them.

paho's own reader ends the connection at a property that it cannot read. The broker keeps the unacknowledged message and
delivers it again after each reconnect: one publish would make the appliance deaf forever. paho also copies the rest of
the packet for each property, which is quadratic: 1 MB of empty user properties takes minutes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ishowtts.model import Delivery, Reason

_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _EXPIRY, _USER = 0x03, 0x08, 0x09, 0x02, 0x26
_FIXED_BYTES = {0x01: 1, _EXPIRY: 4, 0x23: 2}  # payload format, message expiry, topic alias
_STRINGS = (_CONTENT_TYPE, _RESPONSE_TOPIC)
_SUBSCRIPTION_ID = 0x0B
_REPEATABLE = (_USER, _SUBSCRIPTION_ID)
_MAX_USER_PROPERTIES = 8
_MAX_USER_BYTES = 64  # of a name, and of a value


@dataclass(frozen=True)
class MessageProperties:
    """The MQTT 5 properties of a message. Over MQTT 3.1.1 it has none.

    Attributes:
        user: Names and values of the first short user properties.
    """

    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry_s: int | None = None
    user: tuple[tuple[str, str], ...] = ()


NO_PROPERTIES = MessageProperties()


@dataclass(frozen=True)
class MessageFault:
    """Why a received message cannot be used. The sentence is for its publisher."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as it arrived. `delivery` is `None` at QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    properties: MessageProperties
    delivery: Delivery | None
    fault: MessageFault | None = None


@dataclass(frozen=True)
class PublishPacket:
    """A received PUBLISH packet.

    Attributes:
        topic: `None` if it is not UTF-8.
        packet_id: `None` at QoS 0.
        payload: If `fault` is set: what follows the packet id, as far as it was kept.
        fault: Why the message cannot be used: malformed properties, or more bytes than we take. `None` if it can.
        oversized: Whether `fault` is its size.
    """

    topic: str | None
    payload: bytes
    qos: int
    retained: bool
    duplicate: bool
    packet_id: int | None
    properties: MessageProperties = NO_PROPERTIES
    fault: str | None = None
    oversized: bool = False

    def delivery(self) -> Delivery | None:
        """What tells a redelivery of this message from a repetition; `None` at QoS 0."""
        if self.packet_id is None:
            return None
        digest = hashlib.blake2b((self.topic or "").encode() + b"\0" + self.payload, digest_size=16).digest()
        return Delivery(self.packet_id, digest, self.duplicate)

    def message(self, topic: str, delivery: Delivery | None) -> ReceivedMessage:
        """The message in the packet."""
        fault = None
        if self.fault is not None:
            fault = MessageFault(Reason.TOO_BIG if self.oversized else Reason.BAD_FIELD, self.fault)
        return ReceivedMessage(topic, self.payload, self.retained, self.properties, delivery, fault)


class MalformedPacket(ValueError):
    """A packet cannot be parsed. The text says why."""


def read_publish(flags: int, body: bytes, *, mqtt5: bool, size_bytes: int) -> PublishPacket:
    """Parse a PUBLISH packet.

    Args:
        flags: The lower half of its first byte: DUP, QoS, RETAIN.
        body: The bytes after the remaining length. May be truncated if the packet is larger than we take.
        size_bytes: The remaining length that the packet claims.

    Raises:
        MalformedPacket: topic or packet id cannot be found. So the packet cannot be acknowledged either.
    """
    qos = (flags >> 1) & 3
    if qos > 1:
        raise MalformedPacket(f"a PUBLISH of QoS {qos}, but we subscribe at 1 at most")
    topic_end = 2 + int.from_bytes(body[:2], "big")
    rest = topic_end + 2 * qos
    if len(body) < max(2, rest):
        raise MalformedPacket("a PUBLISH that ends within its topic or packet id")
    packet_id = int.from_bytes(body[topic_end:rest], "big") if qos else None
    if packet_id == 0:
        raise MalformedPacket("a PUBLISH at QoS 1 whose packet id is 0")
    try:
        topic: str | None = body[2:topic_end].decode()
    except UnicodeDecodeError:
        topic = None
    properties, payload_at, fault = NO_PROPERTIES, rest, None
    oversized = size_bytes > len(body)
    if oversized:
        fault = f"the packet has {size_bytes} bytes; at most {len(body)} are allowed"
    elif mqtt5:
        try:
            properties, payload_at = _read_properties(body, rest)
        except MalformedPacket as error:
            fault = f"the MQTT 5 properties of the message are malformed: {error}"
    return PublishPacket(
        topic=topic,
        payload=bytes(body[payload_at:]),
        qos=qos,
        retained=bool(flags & 1),
        duplicate=bool(flags & 8),
        packet_id=packet_id,
        properties=properties,
        fault=fault,
        oversized=oversized,
    )


def _read_properties(body: bytes, at: int) -> tuple[MessageProperties, int]:
    """Parse the properties at `at`. Returns them and the start of the payload. Reads each byte once."""
    length, at = _variable_integer(body, at, len(body))
    end = at + length
    if end > len(body):
        raise MalformedPacket("they are longer than the packet")
    found: dict[int, bytes] = {}
    user: list[tuple[str, str]] = []
    while at < end:
        identifier, value_at = _variable_integer(body, at, end)
        value, at = _read_value(identifier, body, value_at, end)
        if identifier == _USER and len(user) < _MAX_USER_PROPERTIES:
            user += _user_property(body, value_at, end, value)
        if identifier in found and identifier not in _REPEATABLE:
            raise MalformedPacket(f"property {identifier} is given twice")
        found[identifier] = value
    try:
        content_type, response_topic = (found[one].decode() if one in found else None for one in _STRINGS)
    except UnicodeDecodeError as error:
        raise MalformedPacket("a text in them is not UTF-8") from error
    expiry = found.get(_EXPIRY)
    expiry_s = None if expiry is None else int.from_bytes(expiry, "big")
    return MessageProperties(content_type, response_topic, found.get(_CORRELATION), expiry_s, tuple(user)), end


def _user_property(body: bytes, at: int, end: int, value: bytes) -> list[tuple[str, str]]:
    """Return the name and the value of a user property; nothing if one of them is long or not UTF-8."""
    start, stop = _string(body, at, end)
    if stop - start > _MAX_USER_BYTES or len(value) > _MAX_USER_BYTES:
        return []
    try:
        return [(bytes(body[start:stop]).decode(), value.decode())]
    except UnicodeDecodeError:
        return []


def _read_value(identifier: int, body: bytes, at: int, end: int) -> tuple[bytes, int]:
    """The value of one property, and the start of the next one."""
    if identifier in _FIXED_BYTES:
        stop = at + _FIXED_BYTES[identifier]
        start = at
    elif identifier == _SUBSCRIPTION_ID:
        start, stop = at, _variable_integer(body, at, end)[1]
    elif identifier in _STRINGS or identifier == _CORRELATION:
        start, stop = _string(body, at, end)
    elif identifier == _USER:  # a name, and the value
        start, stop = _string(body, _string(body, at, end)[1], end)
    else:
        raise MalformedPacket(f"a PUBLISH has no property {identifier}")
    if stop > end:
        raise MalformedPacket(f"property {identifier} is truncated")
    return bytes(body[start:stop]), stop


def _string(body: bytes, at: int, end: int) -> tuple[int, int]:
    """The start and end of the bytes after a two-byte length."""
    start = at + 2
    stop = start + int.from_bytes(body[at:start], "big")
    if stop > end:
        raise MalformedPacket("a text in them is truncated")
    return start, stop


def _variable_integer(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer of at most four bytes, and the position after it."""
    value = 0
    for i, byte in enumerate(body[at : min(at + 4, end)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise MalformedPacket("a length in them does not end")

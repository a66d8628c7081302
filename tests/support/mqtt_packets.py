"""Encodes and decodes MQTT 3.1.1 and 5 packets by hand, valid ones and malformed ones.

Nothing here checks what it encodes: a test can build any byte sequence that a broken or hostile broker may send.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 5, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14

PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_ID, SESSION_EXPIRY, SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM, TOPIC_ALIAS = 0x0B, 0x11, 0x13, 0x21, 0x23
USER_PROPERTY, MAXIMUM_PACKET_SIZE = 0x26, 0x27

BOM = "\ufeff".encode()
"""U+FEFF in UTF-8, which paho refuses in properties."""

_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2}
_SIZES |= {0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}


@dataclass(frozen=True)
class Packet:
    """A packet that a client sent.

    Args:
        connection: Number of its connection, from 1.
        role: The role of that connection: `lines`, `commands` or `other`.
        properties: MQTT 5 properties by identifier, each with all its values in order.
        subscriptions: Topic filters and their options byte (its two low bits are the QoS).
        reason: Reason code of a PUBACK or DISCONNECT; 0 if none was sent.
    """

    kind: int
    connection: int = 0
    role: str = "other"
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    reason: int = 0
    properties: Mapping[int, list[Any]] = field(default_factory=dict)
    subscriptions: tuple[tuple[str, int], ...] = ()
    protocol: int = 0
    client_id: str = ""
    clean: bool = False
    keepalive_s: int = 0
    will_topic: str | None = None
    username: str | None = None


# Encoding


def varint(value: int) -> bytes:
    """A variable byte integer, of as many bytes as it takes."""
    encoded = bytearray()
    while True:
        value, low = divmod(value, 128)
        encoded.append(low | (128 if value else 0))
        if not value:
            return bytes(encoded)


def text(value: str | bytes) -> bytes:
    """A string (or binary data) with its length in two bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def frame(first_byte: int, body: bytes) -> bytes:
    """A packet with its fixed header."""
    return bytes([first_byte]) + varint(len(body)) + body


def properties(*encoded: bytes) -> bytes:
    """The properties field: the total length, then the properties."""
    joined = b"".join(encoded)
    return varint(len(joined)) + joined


def text_property(identifier: int, value: str | bytes) -> bytes:
    """One property that is a string or binary data."""
    return bytes([identifier]) + text(value)


def number_property(identifier: int, value: int, size: int) -> bytes:
    """One property that is a number of `size` bytes."""
    return bytes([identifier]) + value.to_bytes(size, "big")


def user_property(key: str | bytes, value: str | bytes) -> bytes:
    """One user property."""
    return bytes([USER_PROPERTY]) + text(key) + text(value)


def connack(protocol: int, *, reason: int = 0, session_present: bool = False, properties: bytes = b"\0") -> bytes:
    """A CONNACK; `properties` as in `publish`."""
    return frame(CONNACK << 4, bytes([session_present, reason]) + (properties if protocol == 5 else b""))


def publish(
    protocol: int,
    topic: str | bytes,
    payload: bytes,
    *,
    qos: int = 0,
    packet_id: int = 1,
    dup: bool = False,
    retain: bool = False,
    properties: bytes = b"\0",
) -> bytes:
    """A PUBLISH.

    Args:
        properties: the properties field with its length, sent as it is by MQTT 5.
    """
    body = text(topic)
    if qos:
        body += packet_id.to_bytes(2, "big")
    if protocol == 5:
        body += properties
    return frame(PUBLISH << 4 | dup << 3 | qos << 1 | retain, body + payload)


def puback(protocol: int, packet_id: int, reason: int = 0) -> bytes:
    """A PUBACK; MQTT 3.1.1 has no reason codes."""
    return frame(PUBACK << 4, packet_id.to_bytes(2, "big") + (bytes([reason]) if protocol == 5 and reason else b""))


def suback(protocol: int, packet_id: int, codes: list[int], kind: int = SUBACK) -> bytes:
    """A SUBACK, or an UNSUBACK by its `kind`."""
    listed = b"" if kind == UNSUBACK and protocol != 5 else bytes(codes)
    return frame(kind << 4, packet_id.to_bytes(2, "big") + (b"\0" if protocol == 5 else b"") + listed)


def disconnect(reason: int) -> bytes:
    """A DISCONNECT with a reason code, which only MQTT 5 lets a broker send."""
    return frame(DISCONNECT << 4, bytes([reason, 0]))


BROKEN_PROPERTIES: Mapping[str, bytes] = {
    "invalid UTF-8 in the content type": properties(text_property(CONTENT_TYPE, b"\xc3")),
    "unknown property": properties(b"\x7f\0"),
    "property of another packet": properties(number_property(SESSION_EXPIRY, 1, 4)),
    "content type twice": properties(text_property(CONTENT_TYPE, "a"), text_property(CONTENT_TYPE, "b")),
    "properties longer than the packet": varint(5000) + user_property("a", "b"),
    "string longer than the properties": varint(5) + bytes([CONTENT_TYPE]) + b"\x40\0ab",
    "string without its length": varint(2) + bytes([CONTENT_TYPE]) + b"\0",
    "length of five bytes": b"\x80\x80\x80\x80\x01",
    "identifier of five bytes": properties(b"\x83\x80\x80\x80\x01"),
}
"""Malformed properties fields of a PUBLISH, by fault. The frame of the packet is valid."""

STRANGE_PROPERTIES: Mapping[str, bytes] = {
    "U+FEFF in a user property's value": properties(user_property("a", BOM)),
    "U+FEFF in a user property's key": properties(user_property(BOM + b"k", "a")),
    "U+FEFF in the content type": properties(text_property(CONTENT_TYPE, BOM + b"text/plain")),
    "U+FEFF in the response topic": properties(text_property(RESPONSE_TOPIC, b"ishowtts/reply/" + BOM)),
    "U+0000 in a user property": properties(user_property("a", b"\0")),
    "surrogate in a user property": properties(user_property("a", b"\xed\xa0\x80")),
    "invalid UTF-8 in a user property": properties(user_property("a", b"\xff\xfe")),
    "U+0000 in the response topic": properties(text_property(RESPONSE_TOPIC, b"ishowtts/reply/\0")),
    "10,000 user properties": properties(*[user_property("k", "v")] * 10_000),
    "subscription identifier 0": properties(bytes([SUBSCRIPTION_ID, 0])),
    "subscription identifiers": properties(*[bytes([SUBSCRIPTION_ID]) + varint(268_435_455)] * 10),
    "topic alias 0": properties(number_property(TOPIC_ALIAS, 0, 2)),
    "topic alias above our maximum": properties(number_property(TOPIC_ALIAS, 65_535, 2)),
    "response topic with wildcards": properties(text_property(RESPONSE_TOPIC, "ishowtts/reply/#")),
    "empty response topic": properties(text_property(RESPONSE_TOPIC, "")),
    "payload format 2": properties(number_property(PAYLOAD_FORMAT, 2, 1)),
    "message expiry of two bytes": varint(3) + bytes([MESSAGE_EXPIRY]) + b"\0\0",
    "message expiry 0": properties(number_property(MESSAGE_EXPIRY, 0, 4)),
}
"""Properties fields that a client may accept or refuse. The standard forbids most of them."""


# Decoding


def read_frame(stream: BinaryIO) -> tuple[int, bytes] | None:
    """The first byte and the body of the next packet; `None` at the end of the stream."""
    first = stream.read(1)
    if not first:
        return None
    length = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            return None
        length |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            break
    body = stream.read(length)
    return (first[0], body) if len(body) == length else None


def decode(first_byte: int, body: bytes, protocol: int) -> dict[str, Any]:
    """The fields of a packet from a client, as `Packet` takes them.

    Args:
        protocol: 5 or 4; not used for a CONNECT, which says it.

    Raises:
        ValueError: no client sends such a packet.
    """
    kind = first_byte >> 4
    stream = io.BytesIO(body)
    if kind == CONNECT:
        return {"kind": kind, **_decode_connect(stream)}
    if kind == PUBLISH:
        qos = first_byte >> 1 & 3
        found = {"qos": qos, "dup": bool(first_byte & 8), "retain": bool(first_byte & 1), "topic": _text(stream)}
        found["packet_id"] = _number(stream, 2) if qos else 0
        found["properties"] = _properties(stream) if protocol == 5 else {}
        return {"kind": kind, **found, "payload": stream.read()}
    if kind in (PUBACK, PUBREC):
        return {"kind": kind, "packet_id": _number(stream, 2), "reason": _number(stream, 1)}
    if kind in (SUBSCRIBE, UNSUBSCRIBE):
        found = {"packet_id": _number(stream, 2), "properties": _properties(stream) if protocol == 5 else {}}
        filters = []
        while stream.tell() < len(body):
            filters.append((_text(stream), _number(stream, 1) if kind == SUBSCRIBE else 0))
        return {"kind": kind, **found, "subscriptions": tuple(filters)}
    if kind == PINGREQ:
        return {"kind": kind}
    if kind == DISCONNECT:
        return {"kind": kind, "reason": _number(stream, 1)}
    raise ValueError(f"a packet of kind {kind} from a client")


def _decode_connect(stream: io.BytesIO) -> dict[str, Any]:
    _text(stream)
    protocol, flags, keepalive_s = _number(stream, 1), _number(stream, 1), _number(stream, 2)
    found: dict[str, Any] = {"protocol": protocol, "clean": bool(flags & 2), "keepalive_s": keepalive_s}
    found["properties"] = _properties(stream) if protocol == 5 else {}
    found["client_id"] = _text(stream)
    if flags & 4:
        if protocol == 5:
            _properties(stream)
        found["will_topic"] = _text(stream)
        stream.read(_number(stream, 2))
    if flags & 128:
        found["username"] = _text(stream)
    return found


def _number(stream: io.BytesIO, size: int) -> int:
    return int.from_bytes(stream.read(size), "big")


def _varint(stream: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = _number(stream, 1)
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value


def _text(stream: io.BytesIO) -> str:
    return stream.read(_number(stream, 2)).decode()


def _properties(stream: io.BytesIO) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    length = _varint(stream)
    end = stream.tell() + length
    while stream.tell() < end:
        identifier = _number(stream, 1)
        value: Any
        if identifier in _SIZES:
            value = _number(stream, _SIZES[identifier])
        elif identifier == SUBSCRIPTION_ID:
            value = _varint(stream)
        elif identifier == USER_PROPERTY:
            value = (_text(stream), _text(stream))
        elif identifier == CORRELATION:
            value = stream.read(_number(stream, 2))
        else:
            value = _text(stream)
        found.setdefault(identifier, []).append(value)
    return found

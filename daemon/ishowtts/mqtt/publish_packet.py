"""Reads a PUBLISH packet, as MQTT 3.1.1 and 5 define it.

paho's own reader ends the connection at a property that it cannot read. A broker keeps the message that was not
acknowledged, and delivers it again after each reconnect: one publish would make the appliance deaf for good. paho also
copies the rest of the packet for each property, which is quadratic: 1 MB of empty user properties takes minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ishowtts.mqtt.payload import MessageProperties

_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION, _EXPIRY, _USER = 0x03, 0x08, 0x09, 0x02, 0x26
_FIXED_BYTES = {0x01: 1, _EXPIRY: 4, 0x23: 2}  # payload format, message expiry, topic alias
_STRINGS = (_CONTENT_TYPE, _RESPONSE_TOPIC)
_SUBSCRIPTION_ID = 0x0B
_REPEATABLE = (_USER, _SUBSCRIPTION_ID)
_NONE = MessageProperties()


@dataclass(frozen=True)
class PublishPacket:
    """A received PUBLISH.

    Attributes:
        topic: `None`: it is not UTF-8.
        packet_id: `None` at QoS 0.
        payload: if `fault` is set, what follows the packet id, as far as it was kept.
        fault: why the message cannot be used: malformed properties, or more bytes than are taken; `None`: it can.
        oversized: whether `fault` is its size.
    """

    topic: str | None
    payload: bytes
    qos: int
    retained: bool
    duplicate: bool
    packet_id: int | None
    properties: MessageProperties = _NONE
    fault: str | None = None
    oversized: bool = False


class MalformedPacket(ValueError):
    """A packet that cannot be taken apart; the text says what is wrong with it."""


def read_publish(flags: int, body: bytes, *, mqtt5: bool, size_bytes: int) -> PublishPacket:
    """Take a PUBLISH apart.

    Args:
        flags: the lower half of its first byte: DUP, QoS, RETAIN.
        body: what follows the remaining length; may be cut short if the packet is larger than is taken.
        size_bytes: the remaining length that the packet claims.

    Raises:
        MalformedPacket: topic or packet id cannot be found, so it cannot be acknowledged either.
    """
    qos = (flags >> 1) & 3
    if qos > 1:
        raise MalformedPacket(f"a PUBLISH of QoS {qos}, and we subscribe at 1 at most")
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
    properties, payload_at, fault = _NONE, rest, None
    oversized = size_bytes > len(body)
    if oversized:
        fault = f"the packet has {size_bytes} bytes; at most {len(body)} are taken"
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
    """The properties that begin at `at`, and where the payload begins. Each byte is looked at once."""
    length, at = _variable_integer(body, at, len(body))
    end = at + length
    if end > len(body):
        raise MalformedPacket("they are longer than the packet")
    found: dict[int, bytes] = {}
    while at < end:
        identifier, at = _variable_integer(body, at, end)
        value, at = _read_value(identifier, body, at, end)
        if identifier in found and identifier not in _REPEATABLE:
            raise MalformedPacket(f"property {identifier} is given twice")
        found[identifier] = value
    try:
        content_type, response_topic = (found[one].decode() if one in found else None for one in _STRINGS)
    except UnicodeDecodeError as error:
        raise MalformedPacket("a text in them is not UTF-8") from error
    expiry = found.get(_EXPIRY)
    expiry_s = None if expiry is None else int.from_bytes(expiry, "big")
    return MessageProperties(content_type, response_topic, found.get(_CORRELATION), expiry_s), end


def _read_value(identifier: int, body: bytes, at: int, end: int) -> tuple[bytes, int]:
    """The value of one property, and where the next one begins."""
    if identifier in _FIXED_BYTES:
        stop = at + _FIXED_BYTES[identifier]
        start = at
    elif identifier == _SUBSCRIPTION_ID:
        start, stop = at, _variable_integer(body, at, end)[1]
    elif identifier in _STRINGS or identifier == _CORRELATION:
        start, stop = _string(body, at, end)
    elif identifier == _USER:  # a name and a value, which nobody asks for
        start, stop = _string(body, _string(body, at, end)[1], end)
    else:
        raise MalformedPacket(f"there is no property {identifier} of a PUBLISH")
    if stop > end:
        raise MalformedPacket(f"property {identifier} is cut short")
    return bytes(body[start:stop]), stop


def _string(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the bytes behind a two-byte length begin and end."""
    start = at + 2
    stop = start + int.from_bytes(body[at:start], "big")
    if stop > end:
        raise MalformedPacket("a text in them is cut short")
    return start, stop


def _variable_integer(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer of at most four bytes, and where what follows begins."""
    value = 0
    for i, byte in enumerate(body[at : min(at + 4, end)]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise MalformedPacket("a length in them does not end")

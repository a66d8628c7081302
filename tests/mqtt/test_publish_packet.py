"""Parsing of PUBLISH packets: those that paho cannot read, malformed ones, and the time it takes."""

from __future__ import annotations

import pytest

from ishowtts.mqtt.publish_packet import MalformedPacket, MessageProperties, PublishPacket, read_publish

QOS1 = 0b0010


def text(value: str | bytes) -> bytes:
    body = value.encode() if isinstance(value, str) else value
    return len(body).to_bytes(2, "big") + body


def variable(value: int) -> bytes:
    out = b""
    while True:
        value, low = divmod(value, 128)
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def packet(
    properties: bytes = b"", payload: bytes = b"hello", topic: str | bytes = "a/say", packet_id: int = 7
) -> bytes:
    return text(topic) + packet_id.to_bytes(2, "big") + variable(len(properties)) + properties + payload


def read(body: bytes, flags: int = QOS1, *, mqtt5: bool = True, size_bytes: int | None = None) -> PublishPacket:
    return read_publish(flags, body, mqtt5=mqtt5, size_bytes=len(body) if size_bytes is None else size_bytes)


def test_all_properties_that_we_use_are_parsed() -> None:
    properties = (
        b"\x01\x01" + b"\x02\x00\x00\x00\x3c" + b"\x23\x00\x01" + b"\x03" + text("application/json") + b"\x08"
        + text("r/x") + b"\x09" + text(b"\x00\xff") + b"\x0b\x80\x01" + b"\x0b\x02" + b"\x26" + text("k") + text("v")
    )  # fmt: skip
    found = read(packet(properties), 0b1011)
    assert (found.topic, found.payload, found.packet_id) == ("a/say", b"hello", 7)
    assert (found.qos, found.duplicate, found.retained, found.fault) == (1, True, True, None)
    assert found.properties == MessageProperties("application/json", "r/x", b"\x00\xff", 60, (("k", "v"),))


def test_the_first_short_user_properties_are_kept() -> None:
    pairs = [("part", "audio"), ("long", "v" * 65), ("n" * 65, "v"), ("", ""), ("part", "end"), ("64", "v" * 64)]
    encoded = b"".join(b"\x26" + text(name) + text(value) for name, value in pairs)
    found = read(packet(encoded + b"\x26" + text("k") + text(b"\xff")), 0b0011)
    assert found.fault is None
    assert found.properties.user == (("part", "audio"), ("", ""), ("part", "end"), ("64", "v" * 64))
    assert len(read(packet((b"\x26" + text("k") + text("v")) * 1000), 0b0011).properties.user) == 8


def test_mqtt_3_has_no_properties_and_qos_0_no_packet_id() -> None:
    assert read(text("a") + b"\x00\x09\x05x", mqtt5=False).payload == b"\x05x"
    found = read(text("a") + b"\x00hi", 0)
    assert (found.packet_id, found.payload) == (None, b"hi")


@pytest.mark.parametrize(
    "properties",
    [
        b"\x26" + text("a") + text("\ufeff"),
        b"\x26" + text("\ufeff") + text("\x00"),
        b"\x26" + text(b"\xff\xfe") + text(b"\xed\xa0\x80"),
        b"\x26\x00\x00\x00\x00" * 2,
    ],
)
def test_properties_that_we_do_not_use_do_no_harm(properties: bytes) -> None:
    found = read(packet(properties))
    assert (found.payload, found.fault) == (b"hello", None)


def test_a_byte_order_mark_is_an_ordinary_character() -> None:
    found = read(packet(b"\x03" + text("\ufefftext/plain") + b"\x08" + text("\ufeffr")))
    assert found.properties == MessageProperties("\ufefftext/plain", "\ufeffr")


@pytest.mark.parametrize(
    "properties",
    [
        b"\x7f\x00", b"\x11\x00\x00\x00\x00", b"\x02\x00", b"\x01", b"\x08\x00\x05ab", b"\x08", b"\x09\xff\xff",
        b"\x02\x00\x00\x00\x01\x02\x00\x00\x00\x01", b"\x03" + text("a") + b"\x03" + text("a"),
        b"\x0b\x80\x80\x80\x80\x01", b"\x08" + text(b"\xff"), b"\x03" + text(b"\xed\xa0\x80"), b"\x26\x00",
        b"\x80\x80\x80\x80\x01", b"\x26" + text("a"),
    ],
)  # fmt: skip
def test_a_packet_with_malformed_properties_can_still_be_acknowledged(properties: bytes) -> None:
    found = read(packet(properties))
    assert (found.topic, found.packet_id) == ("a/say", 7)
    assert "malformed" in (found.fault or "")
    assert not found.oversized


@pytest.mark.parametrize("length", [b"\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x01", b"\x7f", b""])
def test_a_wrong_length_of_the_properties_is_a_fault(length: bytes) -> None:
    assert "malformed" in (read(text("a") + b"\x00\x07" + length).fault or "")


def test_a_truncated_packet_is_oversized() -> None:
    found = read(packet(), size_bytes=200_000_000)
    assert (found.topic, found.packet_id, found.oversized) == ("a/say", 7, True)
    assert "200000000 bytes" in (found.fault or "")


def test_a_topic_that_is_not_utf_8_is_none() -> None:
    assert read(packet(topic=b"\xff")).topic is None


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        (b"", 0), (b"\x00", 0), (b"\x00\x05ab", 0), (text("a") + b"\x00", QOS1), (packet(packet_id=0), QOS1),
        (packet(), 4), (packet(), 6),
    ],
)  # fmt: skip
def test_a_packet_that_cannot_be_acknowledged_is_malformed(body: bytes, flags: int) -> None:
    with pytest.raises(MalformedPacket):
        read(body, flags)


def test_the_largest_packet_of_the_smallest_properties_is_parsed() -> None:
    """paho copies the rest of the packet for each property, and would block the connection for that long."""
    count = 250_000
    assert read(packet(b"\x26\x00\x00\x00\x00" * count)).payload == b"hello"

"""A message as it arrived, from the packet that brought it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ishowtts.model import Delivery, Reason
from ishowtts.mqtt.payload import MessageProperties
from ishowtts.mqtt.publish_packet import PublishPacket


@dataclass(frozen=True)
class Unreadable:
    """Why a message that arrived cannot be used; the sentence is for its publisher."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Incoming:
    """A message as it arrived. `delivery` is `None` at QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    properties: MessageProperties
    delivery: Delivery | None
    fault: Unreadable | None = None


def delivery_of(packet: PublishPacket) -> Delivery | None:
    """What tells a redelivery of this message from a repetition; `None` at QoS 0."""
    if packet.packet_id is None:
        return None
    digest = hashlib.blake2b((packet.topic or "").encode() + b"\0" + packet.payload, digest_size=16).digest()
    return Delivery(packet.packet_id, digest, packet.duplicate)


def message_of(packet: PublishPacket, topic: str, delivery: Delivery | None) -> Incoming:
    """The message that a packet brought on a topic."""
    fault = None
    if packet.fault is not None:
        fault = Unreadable(Reason.TOO_BIG if packet.oversized else Reason.BAD_FIELD, packet.fault)
    return Incoming(topic, packet.payload, packet.retained, packet.properties, delivery, fault)

"""The state that the `HostileBroker` keeps for a client: its session, and the messages for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support import mqtt_packets as mqtt
from support.mqtt_packets import Packet

if TYPE_CHECKING:
    from support.hostile_broker import Peer


@dataclass(frozen=True)
class Message:
    """A message for clients. `properties` is the whole encoded field, sent without changes."""

    topic: str | bytes
    payload: bytes
    qos: int = 1
    retain: bool = False
    properties: bytes = b"\0"


@dataclass
class Session:
    """The session of one client id.

    Args:
        subscriptions: Topic filter to its options byte.
        in_flight: Packet id to the message that the client has not acknowledged, in the order of sending.
        waiting: Messages for a client that is away.
    """

    client_id: str
    persistent: bool
    subscriptions: dict[str, int] = field(default_factory=dict)
    in_flight: dict[int, Message] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)
    last_id: int = 0
    peer: Peer | None = None

    @property
    def role(self) -> str:
        """`lines`, `commands` or `other`, from its client id or its subscriptions."""
        for role, last_level in (("lines", "say"), ("commands", "command")):
            if re.search(rf"(^|[^a-z]){role}([^a-z]|$)", self.client_id) or any(
                subscribed.endswith(f"/{last_level}") for subscribed in self.subscriptions
            ):
                return role
        return "other"


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic matches a filter with + and #."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))


def forwarded_properties(packet: Packet) -> bytes:
    """The properties that a broker forwards, encoded again."""
    found: dict[int, list[Any]] = dict(packet.properties)
    encoded = [mqtt.user_property(key, value) for key, value in found.get(mqtt.USER_PROPERTY, [])]
    for identifier in (mqtt.CONTENT_TYPE, mqtt.RESPONSE_TOPIC, mqtt.CORRELATION):
        encoded += [mqtt.text_property(identifier, value) for value in found.get(identifier, [])]
    if mqtt.MESSAGE_EXPIRY in found:
        encoded.append(mqtt.number_property(mqtt.MESSAGE_EXPIRY, found[mqtt.MESSAGE_EXPIRY][0], 4))
    return mqtt.properties(*encoded)

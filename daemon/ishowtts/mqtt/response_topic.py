"""Checks the response topic of a request, and publishes a reply there (MQTT 5)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ishowtts.model import ReplyTo
from ishowtts.mqtt.publish_packet import MessageProperties

if TYPE_CHECKING:
    from ishowtts.mqtt.session import Session

_MAX_TOPIC_CHARS = 512
_MAX_TOPIC_LEVELS = 20  # mosquitto ends the connection of a client that publishes to 200
_MAX_CORRELATION_BYTES = 4096  # each waiting line and its row keep them
_MAX_REPLY_BYTES = 200_000
_HEAD_BYTES = 5_000  # topic, Correlation Data and the rest of a PUBLISH packet


class BadResponseTopic(ValueError):
    """No reply can be published at a response topic. The text says why."""


def checked_reply_to(properties: MessageProperties, prefix: str) -> ReplyTo | None:
    """Where a message wants its reply; `None` if it names no response topic.

    Args:
        prefix: Response topics are used only under this prefix, as in `ishowtts/reply/`.

    Raises:
        BadResponseTopic: Nothing is published there.
    """
    topic, correlation = properties.response_topic, properties.correlation
    if topic is None:
        return None
    inside = topic.startswith(prefix) and len(topic) > len(prefix)
    if not inside or len(topic) > _MAX_TOPIC_CHARS or not _is_topic(topic):
        raise BadResponseTopic(f"answers are published only under {prefix}")
    if topic.count("/") >= _MAX_TOPIC_LEVELS:
        raise BadResponseTopic(f"it has more than {_MAX_TOPIC_LEVELS} levels")
    size = len(correlation or b"")
    if size > _MAX_CORRELATION_BYTES:
        raise BadResponseTopic(f"its Correlation Data has {size} bytes; at most {_MAX_CORRELATION_BYTES} are kept")
    return ReplyTo(topic, correlation)


def _is_topic(text: str) -> bool:
    """Whether every broker takes it as a topic: it has no wildcard, control character, surrogate or noncharacter."""
    if re.search("[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff]", text):
        return False
    return not any(ord(char) & 0xFFFE == 0xFFFE for char in text)


class Reply:
    """Publishes the reply to one request. Any thread may use it.

    Args:
        session: Returns the connection to publish on; `None`: there is none now.
    """

    def __init__(self, to: ReplyTo, session: Callable[[], Session | None]) -> None:
        self._to = to
        self._session = session

    @property
    def max_bytes(self) -> int:
        """The largest payload that may be sent: 200 kB, or less if the broker takes less."""
        session = self._session()
        largest = None if session is None else session.broker_max_packet_bytes
        return _MAX_REPLY_BYTES if largest is None else min(_MAX_REPLY_BYTES, max(0, largest - _HEAD_BYTES))

    def send(self, payload: bytes, timeout_s: float = 0.0) -> bool:
        """Publish the reply once, at QoS 1. A reply that the broker refuses is left out, and so is one without it.

        Args:
            timeout_s: How long to wait for the broker.

        Returns:
            Whether the broker has answered in this time. Nobody knows whether the requester is still there.
        """
        session = self._session()
        if session is None:
            return False
        topic, properties = self._to.topic, MessageProperties(correlation=self._to.correlation)
        sent = session.publish(topic, payload, qos=1, retain=False, properties=properties, retry=False)
        return sent is not None and sent.wait(time.monotonic() + timeout_s)

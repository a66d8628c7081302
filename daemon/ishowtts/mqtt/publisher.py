"""Publishes on one connection, and follows each publish at QoS 1 until the broker confirms it (PUBACK)."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ishowtts.mqtt.acknowledgements import Acknowledgements
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.paho_client import TolerantClient
from ishowtts.mqtt.publish_packet import NO_PROPERTIES, MessageProperties

log = logging.getLogger(__name__)

NO_SUBSCRIBERS = 0x10
"""Reason code of a PUBACK (MQTT 5): nobody subscribes to the topic. It is no failure."""
# PUBACK reason codes that may pass: unspecified error, implementation specific error, quota exceeded.
_RETRY_CODES = (0x80, 0x83, 0x97)
_RETAINED_RETRY_S = 5.0
_WAIT_SLICE_S = 0.2
_PUBLISH_HEAD_BYTES = 16
_PROPERTY_HEAD_BYTES = 5


@dataclass(frozen=True)
class PublishAnswer:
    """The broker's answer to a publish (PUBACK).

    Args:
        refusal: Why the broker refuses it; `None` if it does not.
        retained_topic: The topic, if it was a retained value.
        has_subscribers: `False` if nobody subscribes to the topic. Not every broker says so.
    """

    mid: int
    refusal: str | None
    retained_topic: str | None = None
    has_subscribers: bool = True


OnAnswer = Callable[[PublishAnswer], None]
"""Takes the broker's answer to a publish, on the thread of the connection."""


class Publisher:
    """Publishes, and knows which publishes at QoS 1 wait for their PUBACK.

    A retained value that the broker does not take now is published again after a pause, unless a newer one replaced it.

    Args:
        acknowledgements: Those of the same connection. A PUBACK proves that the broker has processed the ones before.
        lock: The lock of the session. Who calls `publish` holds it, so that no answer is taken before it is expected.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        options: MqttOptions,
        acknowledgements: Acknowledgements,
        lock: threading.Lock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._acknowledgements = acknowledgements
        self._lock = lock
        self._clock = clock
        self._acks_before: dict[int, int] = {}  # by mid of a publish: acknowledgements that were sent before it
        self._progress_s = math.inf  # when the broker last confirmed a publish, or a first one began to wait
        self._answers: deque[tuple[int, ReasonCode]] = deque()
        self._to_retry: set[int] = set()  # mids of publishes that the broker does not take now
        self._retained: dict[int, tuple[str, bytes]] = {}  # by mid: retained values that wait for their answer
        self._refused_retained: dict[str, tuple[float, bytes]] = {}  # by topic: when to publish again, and what
        self._on_answer: dict[int, OnAnswer] = {}  # by mid: who wants the answer
        self._warned: set[tuple[str, str]] = set()  # refusals that were logged
        self.closed = False

    @property
    def unconfirmed(self) -> int:
        """How many publishes wait for their PUBACK."""
        return len(self._acks_before)

    def publish(
        self,
        client: TolerantClient,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
        retry: bool = True,
        on_answer: OnAnswer | None = None,
    ) -> PendingPublish:
        """Hand a message to the network. The caller holds the lock.

        Args:
            properties: Those of MQTT 5. Over MQTT 3.1.1 they are left out.
            retry: See `PendingPublish`.
            on_answer: Called once, unless the connection ends before. Not called for what is larger than the broker
                takes.
        """
        max_bytes = client.broker_max_packet_bytes
        if max_bytes is not None and packet_bytes(topic, payload, properties) > max_bytes:
            self.warn(f"more than {max_bytes} bytes, and this has {len(payload)}")
            return PendingPublish(self, None, retry=retry)
        acks_before = self._acknowledgements.count  # read first: one that is sent meanwhile does not count
        sent = paho_properties(properties) if self._options.protocol == 5 else None
        info = client.publish(topic, payload, qos, retain, sent)
        if qos > 0:
            self._expect(info.mid, acks_before)
            if on_answer is not None:
                self._on_answer[info.mid] = on_answer
            if retain:
                self._refused_retained.pop(topic, None)
                self._retained = {mid: value for mid, value in self._retained.items() if value[0] != topic}
                self._retained[info.mid] = (topic, payload)
        return PendingPublish(self, info, retry=retry)

    def answered(self, mid: int, code: ReasonCode) -> None:
        """The broker answered a publish. Takes no lock: paho holds one here that `publish` waits for."""
        if code.value in _RETRY_CODES:
            self._to_retry.add(mid)
        self._answers.append((mid, code))

    def take_answers(self) -> list[PublishAnswer]:
        """The answers since the last call. The broker has processed the acknowledgements that we sent before them."""
        answers: list[PublishAnswer] = []
        processed = None
        while self._answers:
            mid, code = self._answers.popleft()
            topic = None
            with self._lock:
                if mid in self._acks_before:  # paho also reports publishes at QoS 0
                    processed = max(processed or 0, self._acks_before.pop(mid))
                    self._progress_s = self._clock()
                if value := self._retained.pop(mid, None):
                    topic, payload = value
                    if self.must_retry(mid):
                        self._refused_retained[topic] = (self._clock() + _RETAINED_RETRY_S, payload)
                on_answer = self._on_answer.pop(mid, None)
            refusal = str(code) if code.is_failure else None
            answers.append(PublishAnswer(mid, refusal, topic, code.value != NO_SUBSCRIBERS))
            if on_answer is not None:
                on_answer(answers[-1])
        if processed is not None:
            self._acknowledgements.processed(processed)
        return answers

    def retry_retained(self, client: TolerantClient) -> None:
        """Publish the retained values again that the broker refused some time ago. The caller holds the lock."""
        for topic, (due_s, payload) in list(self._refused_retained.items()):
            if due_s <= self._clock():
                self.publish(client, topic, payload, qos=1, retain=True)

    def must_retry(self, mid: int) -> bool:
        """Whether the broker answered that it does not take this publish now."""
        return mid in self._to_retry

    def overdue(self, timeout_s: float) -> bool:
        """Whether publishes wait and the broker has confirmed none for this time."""
        return bool(self._acks_before) and self._clock() - self._progress_s > timeout_s

    def warn(self, reason: str, retained_topic: str | None = None) -> None:
        """Log a refused publish once a connection: the broker may refuse a hundred events a second.

        Args:
            reason: What the broker answered.
            retained_topic: The topic of a retained value. Each has its own warning, and all alerts have one.
        """
        root, alert, _ = (retained_topic or "").rpartition("/alert/")
        topic = f"{root}/alert/#" if alert else retained_topic
        what = "what we publish" if topic is None else f"what we publish on {topic}"
        if (what, reason) not in self._warned:
            self._warned.add((what, reason))
            log.warning("%s does not take %s (%s); change its ACL or limits", self._options.broker, what, reason)

    def _expect(self, mid: int, acks_before: int) -> None:
        if not self._acks_before:
            self._progress_s = self._clock()
        self._acks_before[mid] = acks_before
        self._to_retry.discard(mid)


class PendingPublish:
    """One publish that waits for its confirmation.

    Args:
        info: `None` if the message is larger than the broker takes. It was not sent then.
        retry: Whether the caller publishes again if the broker answers that it does not take the message now. If not,
            every answer is final.
    """

    def __init__(self, publisher: Publisher, info: paho.MQTTMessageInfo | None, *, retry: bool) -> None:
        self._publisher = publisher
        self._info = info
        self._retry = retry

    def wait(self, deadline_s: float) -> bool:
        """Whether the broker has it by `deadline_s` (monotonic). False soon after the connection ends."""
        while not self.done():
            left_s = deadline_s - time.monotonic()
            if self._info is None or left_s <= 0 or self._publisher.closed or self.refused:
                return self.done()
            try:
                self._info.wait_for_publish(min(left_s, _WAIT_SLICE_S))
            except (RuntimeError, ValueError):  # paho could not even queue it
                return False
        return True

    @property
    def mid(self) -> int | None:
        """The packet id of the publish; `None` if it was not sent."""
        return None if self._info is None else self._info.mid

    @property
    def refused(self) -> bool:
        """Whether the caller must publish it again."""
        return self._retry and self._info is not None and self._publisher.must_retry(self._info.mid)

    def done(self) -> bool:
        """Whether the broker has it, or has refused it for good."""
        if self._info is None:
            return True
        try:
            return self._info.is_published() and not self.refused
        except (RuntimeError, ValueError):
            return False


def paho_properties(wanted: MessageProperties) -> Properties | None:
    """The properties as paho takes them; `None` if there are none."""
    if wanted == NO_PROPERTIES:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if wanted.content_type is not None:
        properties.ContentType = wanted.content_type
    if wanted.response_topic is not None:
        properties.ResponseTopic = wanted.response_topic
    if wanted.correlation is not None:
        properties.CorrelationData = wanted.correlation
    if wanted.expiry_s is not None:
        properties.MessageExpiryInterval = wanted.expiry_s
    if wanted.user:
        properties.UserProperty = list(wanted.user)
    return properties


def packet_bytes(topic: str, payload: bytes, properties: MessageProperties) -> int:
    """The size of this PUBLISH, give or take a few bytes."""
    texts = (properties.content_type, properties.response_topic, *(text for pair in properties.user for text in pair))
    values = [properties.correlation or b"", *(text.encode() for text in texts if text is not None)]
    return (
        len(topic.encode())
        + len(payload)
        + sum(len(value) + _PROPERTY_HEAD_BYTES for value in values if value)
        + _PUBLISH_HEAD_BYTES
    )

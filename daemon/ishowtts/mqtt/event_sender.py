"""Publishes events and their answers, and knows which of them the broker has confirmed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from ishowtts.model import FINAL_EVENTS, Event, ReplyTo
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.mqtt.publisher import PendingPublish
from ishowtts.mqtt.session import Session
from ishowtts.util.logs import Untrusted, log_fields

log = logging.getLogger(__name__)

# A duplicate has no other final event. Its publisher waits for this one.
_ANSWER_TRIES = 3

_Key = tuple[int, str, str, str]


class EventSender:
    """Publishes events in order on the session that is given. One thread calls `send`.

    It also publishes a final event at the response topic of the line. If the broker does not take that topic, other
    events must not wait for it. So a refusal counts as confirmed. An answer is left out if the connection ended at each
    try: mosquitto ends the connection at a topic of 200 levels.

    Args:
        topic: The topic of events.
        answers: Whether response topics exist (MQTT 5).
    """

    def __init__(self, topic: str, *, answers: bool) -> None:
        self._topic = topic
        self._answers = answers
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._in_flight: dict[_Key, list[PendingPublish]] = {}  # on that session
        self._answer_tries: dict[_Key, int] = {}

    def send(self, session: Session, numbered: Sequence[tuple[int, Event]], timeout_s: float) -> int:
        """Publish events, and wait until the broker has confirmed them.

        An event that was not confirmed in time comes again. Its number identifies it, because two refused commands may
        look alike.

        Returns: how many events, counted from the first one, are confirmed without a gap.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            if self._session is not session:
                self._session, self._in_flight = session, {}
            in_flight = [self._publish(session, number, event) for number, event in numbered]
        confirmed = 0
        for publishes in in_flight:
            if not publishes or not all(publish.wait(deadline_s) for publish in publishes):
                break
            confirmed += 1
        with self._lock:
            # A refused event is published again. Later events that the broker has wait here until they count.
            waiting = {_key(number, event) for number, event in numbered[confirmed:]}
            self._answer_tries = {key: tries for key, tries in self._answer_tries.items() if key in waiting}
            self._in_flight = {
                key: publishes
                for key, publishes in self._in_flight.items()
                if key in waiting and not publishes[0].refused
            }
        return confirmed

    def _publish(self, session: Session, number: int, event: Event) -> list[PendingPublish]:
        """Publish an event, and its answer if it has one. Returns the publishes, to wait for the broker.

        If both are in flight since an earlier call, it publishes nothing and returns those. Returns an empty list if
        the connection is gone.
        """
        key = _key(number, event)
        if key not in self._in_flight:
            body = strict_json.dumps(event_payload(event))
            sent = [session.publish(self._topic, body, qos=1, retain=False)]
            if (reply_to := self._answer_to(key, event)) is not None:
                topic, properties = reply_to.topic, MessageProperties(correlation=reply_to.correlation)
                body = strict_json.dumps(answer_payload(event))
                sent.append(session.publish(topic, body, qos=1, retain=False, properties=properties, retry=False))
            publishes = [publish for publish in sent if publish is not None]
            if len(publishes) < len(sent):
                return []
            self._in_flight[key] = publishes
        return self._in_flight[key]

    def _answer_to(self, key: _Key, event: Event) -> ReplyTo | None:
        """The response topic at which to publish the event too; `None` if there is none."""
        if event.reply_to is None or not self._answers or event.event not in FINAL_EVENTS:
            return None
        tries = self._answer_tries[key] = self._answer_tries.get(key, 0) + 1
        if tries <= _ANSWER_TRIES:
            return event.reply_to
        words = "the answer to line %s is left out: the connection ended each time"
        log.warning(words, Untrusted(repr(event.id)), extra=log_fields(line_id=event.id))
        return None


def _key(number: int, event: Event) -> _Key:
    """Identifies an event. The number alone does not: an inbox that started a new file may give it again."""
    return number, event.ts, event.id, event.event


def event_payload(event: Event) -> dict[str, Any]:
    """The payload of an event."""
    return {"ts": event.ts, "id": event.id, "event": event.event} | {
        key: value for key, value in event.data.items() if key not in ("ts", "id", "event")
    }


def answer_payload(event: Event) -> dict[str, Any]:
    """The payload of a final event at a response topic. It omits the id of another publisher's line."""
    payload = event_payload(event)
    payload.pop("into", None)
    return payload

"""Publishes events and their answers, and knows which of them the broker has."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from ishowtts.model import Event, Outcome, ReplyTo
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.payload import answer_payload, event_payload
from ishowtts.mqtt.pending_publish import PendingPublish
from ishowtts.mqtt.session import Session
from ishowtts.util.logs import Untrusted

logger = logging.getLogger(__name__)

# A duplicate has no other final event, and whoever waits for an answer waits for this one.
_ANSWERED = frozenset(outcome.value for outcome in Outcome) | {"duplicate"}
_ANSWER_TRIES = 3

_Key = tuple[int, str, str, str]


class EventSender:
    """Publishes events in order on whatever session there is. One thread calls `send`.

    A final event goes to its publisher's response topic as well. If a broker does not take that topic, nobody else must
    wait for it: a refusal counts as an answer, and an answer at which the connection ended each time is left out.
    mosquitto ends the connection at a topic of 200 levels.

    Args:
        topic: of events.
        answers: whether response topics exist (MQTT 5).
    """

    def __init__(self, topic: str, *, answers: bool) -> None:
        self._topic = topic
        self._answers = answers
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._under_way: dict[_Key, list[PendingPublish]] = {}  # on that session
        self._answer_tries: dict[_Key, int] = {}

    def send(self, session: Session, numbered: Sequence[tuple[int, Event]], timeout_s: float) -> int:
        """Publish events, and wait until the broker has them.

        One that was not confirmed in time is known by its number when it comes again: two refused commands may look
        alike.

        Returns: how many, from the first one on, are confirmed.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            if self._session is not session:
                self._session, self._under_way = session, {}
            under_way = [self._publish(session, number, event) for number, event in numbered]
        confirmed = 0
        for deliveries in under_way:
            if not deliveries or not all(delivery.wait(deadline_s) for delivery in deliveries):
                break
            confirmed += 1
        with self._lock:
            # What the broker refused is published again; what it has behind that waits here for its turn to count.
            waiting = {_key(number, event) for number, event in numbered[confirmed:]}
            self._answer_tries = {key: tries for key, tries in self._answer_tries.items() if key in waiting}
            self._under_way = {
                key: deliveries
                for key, deliveries in self._under_way.items()
                if key in waiting and not deliveries[0].refused
            }
        return confirmed

    def _publish(self, session: Session, number: int, event: Event) -> list[PendingPublish]:
        """The deliveries of an event. One that timed out before is waited for again, not published again."""
        key = _key(number, event)
        if key not in self._under_way:
            body = strict_json.dumps(event_payload(event))
            sent = [session.publish(self._topic, body, qos=1, retain=False)]
            if (reply_to := self._answer_to(key, event)) is not None:
                topic, correlation = reply_to.topic, reply_to.correlation
                body = strict_json.dumps(answer_payload(event))
                sent.append(session.publish(topic, body, qos=1, retain=False, correlation=correlation, insists=False))
            deliveries = [delivery for delivery in sent if delivery is not None]
            if len(deliveries) < len(sent):
                return []
            self._under_way[key] = deliveries
        return self._under_way[key]

    def _answer_to(self, key: _Key, event: Event) -> ReplyTo | None:
        """Where the event is to be published besides; `None`: nowhere."""
        if event.reply_to is None or not self._answers or event.event not in _ANSWERED:
            return None
        tries = self._answer_tries[key] = self._answer_tries.get(key, 0) + 1
        if tries <= _ANSWER_TRIES:
            return event.reply_to
        logger.warning("the answer to line %s is left out: the connection ended each time", Untrusted(repr(event.id)))
        return None


def _key(number: int, event: Event) -> _Key:
    """What an event is known by; an inbox that had to begin a fresh file may give a number again."""
    return number, event.ts, event.id, event.event

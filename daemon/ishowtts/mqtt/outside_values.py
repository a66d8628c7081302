"""Retained values on topics outside the root of the appliance, which a broker may refuse without harm to speech."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ishowtts.mqtt.session import Session

_MAX_ENDS = 3


class OutsideValues:
    """Publishes the latest value of each topic after every connect. Any thread may call any method.

    Some brokers answer a publish that they do not allow by ending the connection. After three such connections in a
    row the values are not published any more.

    Attributes:
        on_answer: Called with a topic, and why the broker refuses its value (`None`: it does not). Must not block.
    """

    def __init__(self) -> None:
        self.on_answer: Callable[[str, str | None], None] = lambda _topic, _refusal: None
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}
        self._session: Session | None = None
        self._unanswered: set[str] = set()  # topics on which we published in this session
        self._ends = 0  # sessions in a row that ended without an answer to one of them
        self._stopped = False

    def publish(self, topic: str, body: bytes) -> None:
        """Store a value, and publish it if we are connected. An empty one removes what is retained there."""
        with self._lock:
            self._values[topic] = body
            self._send(topic, body)

    def forget(self, topic: str) -> None:
        """Do not publish the value of this topic again."""
        with self._lock:
            self._values.pop(topic, None)

    def announce(self, session: Session) -> None:
        """Publish all values, on a new session or again."""
        with self._lock:
            refused: set[str] = set()
            if session is not self._session:
                if self._unanswered:
                    self._ends += 1
                    refused = self._unanswered if self._ends == _MAX_ENDS else refused
                elif self._ends < _MAX_ENDS:
                    self._ends = 0
                self._session, self._unanswered = session, set()
            for topic, body in self._values.items():
                self._send(topic, body)
        for topic in refused:
            self.on_answer(topic, f"it has ended the connection {_MAX_ENDS} times after that message")

    def answered(self, topic: str, refusal: str | None) -> bool:
        """The broker has answered a publish. Returns whether the topic is one of ours."""
        with self._lock:
            self._unanswered.discard(topic)
            ours = topic in self._values
        if ours:
            self.on_answer(topic, refusal)
        return ours

    def stop(self) -> None:
        """Publish nothing any more."""
        with self._lock:
            self._stopped = True

    def _send(self, topic: str, body: bytes) -> None:
        if self._stopped or self._session is None or self._ends >= _MAX_ENDS:
            return
        if self._session.publish(topic, body, qos=1, retain=True) is not None:
            self._unanswered.add(topic)

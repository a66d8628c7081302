"""Topics outside the root of the appliance. A broker may refuse them without harm to speech."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from ishowtts.mqtt.session import Session

_MAX_ENDS = 3


class OutsideTopics:
    """Publishes retained values, and subscribes to one topic, after every connect. Any thread may call any method.

    Some brokers end the connection if they do not allow a topic. After three such connections in a row we give up:
    nothing is published then, or the topic is not subscribed to.

    Args:
        watched: The topic to subscribe to, at QoS 0.

    Attributes:
        on_answer: Called with a topic, and why the broker refuses it (`None`: it does not). Must not block.
    """

    def __init__(self, watched: str | None) -> None:
        self.watched = watched
        self.on_answer: Callable[[str, str | None], None] = lambda _topic, _refusal: None
        self._lock = threading.Lock()
        self._values: dict[str, bytes] = {}
        self._published = _Attempts()
        self._subscribed = _Attempts()
        self._stopped = False

    def publish(self, topic: str, body: bytes) -> None:
        """Store a value, and publish it if we are connected. An empty one removes what is retained there."""
        with self._lock:
            self._values[topic] = body
            self._send(topic, body)

    def watch(self, topic: str | None) -> None:
        """Subscribe to another topic instead; `None`: to none."""
        with self._lock:
            former, self.watched = self.watched, topic
            session = self._subscribed.session
            if topic == former or session is None:
                return
            if former is not None:
                session.unsubscribe([former])
            if self._subscribed.may_try:
                self._subscribe(session)

    def forget(self, topic: str) -> None:
        """Do not publish the value of this topic again."""
        with self._lock:
            self._values.pop(topic, None)

    def announce(self, lines: Session, commands: Session) -> None:
        """Publish all values on the first session and subscribe on the second. Either may be new."""
        with self._lock:
            new_commands = commands is not self._subscribed.session
            refused = self._published.begin(lines) | self._subscribed.begin(commands)
            for topic, body in self._values.items():
                self._send(topic, body)
            if new_commands and self._subscribed.may_try:
                self._subscribe(commands)
        for topic in refused:
            self.on_answer(topic, f"it has ended the connection {_MAX_ENDS} times after that")

    def answered(self, topic: str, refusal: str | None) -> bool:
        """The broker has answered a publish. Returns whether the topic is one of ours."""
        with self._lock:
            self._published.unanswered.discard(topic)
            ours = topic in self._values
        if ours:
            self.on_answer(topic, refusal)
        return ours

    def stop(self) -> None:
        """Publish nothing any more."""
        with self._lock:
            self._stopped = True

    def _subscribe(self, session: Session) -> None:
        topic = self.watched
        if topic is not None and session.subscribe_optional(topic, partial(self._subscription_answered, topic)):
            self._subscribed.unanswered.add(topic)

    def _subscription_answered(self, topic: str, refusal: str | None) -> None:
        with self._lock:
            self._subscribed.unanswered.discard(topic)
        self.on_answer(topic, refusal)

    def _send(self, topic: str, body: bytes) -> None:
        session = self._published.session
        if self._stopped or session is None or not self._published.may_try:
            return
        sent = session.publish(topic, body, qos=1, retain=True)
        if sent is not None and sent.mid is not None:
            self._published.unanswered.add(topic)


class _Attempts:
    """Counts the sessions in a row that ended before the broker answered.

    Attributes:
        session: The current one.
        unanswered: Topics for which an answer is owed in this session.
    """

    def __init__(self) -> None:
        self.session: Session | None = None
        self.unanswered: set[str] = set()
        self._ends = 0

    @property
    def may_try(self) -> bool:
        """Whether fewer sessions ended so than make us give up."""
        return self._ends < _MAX_ENDS

    def begin(self, session: Session) -> set[str]:
        """Note the current session. Returns the topics that we give up now."""
        if session is self.session:
            return set()
        unanswered, self.unanswered, self.session = self.unanswered, set(), session
        if unanswered:
            self._ends += 1
        elif self.may_try:
            self._ends = 0
        return unanswered if self._ends == _MAX_ENDS else set()

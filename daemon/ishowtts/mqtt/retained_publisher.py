"""Publishes the retained values of the appliance, `availability` among them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ishowtts.mqtt.outside_topics import OutsideTopics
from ishowtts.mqtt.session import Session
from ishowtts.mqtt.topics import RetainedName, Topics

_CORRECTION_S = 5.0

Sessions = tuple["Session | None", "Session | None"]


class RetainedPublisher:
    """Publishes the latest retained values again after every connect. Any thread may call any method.

    `availability` is `online` only after messages were proven to reach us on both connections. It is `offline` if they
    may not reach us, and `deaf` says why.

    Args:
        sessions: Returns the sessions of lines and of commands, each `None` if it is not ready.
        outside: The topics outside our root.
    """

    def __init__(self, topics: Topics, sessions: Callable[[], Sessions], outside: OutsideTopics) -> None:
        self._topics = topics
        self._sessions = sessions
        self._outside = outside
        self._lock = threading.RLock()
        self._values: dict[RetainedName, bytes] = {}
        self._announced: Sessions | None = None  # the pair of sessions that has all values
        self._proven_on: dict[str, Session | None] = {}  # by connection: the session on which a message has come
        self._unreachable: dict[str, str] = {}  # by connection: why messages may not reach us
        self._availability: bytes | None = None  # what we last published on the announced sessions
        self._corrected_s = -math.inf  # when we last corrected `availability`
        self._connects = 0
        self._stopped = False

    @property
    def deaf(self) -> str | None:
        """Why messages may not reach us although we are connected. `None` if they do, as far as we know."""
        with self._lock:
            return "; ".join(self._unreachable.values()) or None

    @property
    def reconnects(self) -> int:
        """How often both connections came back after the first time."""
        return max(0, self._connects - 1)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def publish(self, name: RetainedName, body: bytes) -> None:
        """Store a value, and publish it if we are connected."""
        with self._lock:
            self._values[name] = body
            if (session := self._announced_session()) is not None:
                self._send(session, name, body)

    def publish_again(self, name: RetainedName) -> None:
        """Publish the stored value again, if there is one and we are connected."""
        with self._lock:
            if (session := self._announced_session()) is not None and (body := self._values.get(name)) is not None:
                self._send(session, name, body)

    def announce(self) -> bool:
        """Publish all values on a new pair of sessions, and `availability` if it changed. False if not connected."""
        with self._lock:
            lines, commands = self._sessions()
            if lines is None or commands is None or self._stopped:
                return False
            if self._announced != (lines, commands):
                self._announced, self._availability = (lines, commands), None
                self._connects += 1
                for name, body in self._values.items():
                    self._send(lines, name, body)
                self._outside.announce(lines, commands)
            proven = self._proven_on == {"lines": lines, "commands": commands}
            availability = b"offline" if self._unreachable else b"online" if proven else None
            if availability is not None and availability != self._availability:
                self._availability = availability
                self._send_availability(lines, availability)
            return True

    def set_reachable(self, role: str, session: Session | None, reason: str | None) -> None:
        """Note that messages reach us on a connection, or the reason why they may not."""
        with self._lock:
            self._proven_on[role] = session if reason is None else None
            if reason is None:
                self._unreachable.pop(role, None)
            else:
                self._unreachable[role] = reason

    def correct_availability(self, received: bytes) -> None:
        """Publish our `availability` again if another client, or the will of an earlier connection, overwrote it."""
        with self._lock:
            now_s, ours = time.monotonic(), self._availability
            if ours is None or received == ours or now_s < self._corrected_s + _CORRECTION_S:
                return
            session = self._announced_session()
            if session is not None and session is self._sessions()[0]:
                self._corrected_s = now_s
                self._send_availability(session, ours)

    def stop(self) -> None:
        """Publish nothing any more."""
        with self._lock:
            self._stopped = True
        self._outside.stop()

    def _announced_session(self) -> Session | None:
        return None if self._announced is None or self._stopped else self._announced[0]

    def _send(self, session: Session, name: RetainedName, body: bytes) -> None:
        session.publish(self._topics.retained(name), body, qos=0 if name == "telemetry" else 1, retain=True)

    def _send_availability(self, session: Session, availability: bytes) -> None:
        session.publish(self._topics.availability, availability, qos=1, retain=True)

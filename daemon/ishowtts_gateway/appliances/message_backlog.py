"""Holds messages between the thread of the connection and the asyncio loop."""

from __future__ import annotations

import threading
from dataclasses import dataclass

_MAX_TAKEN = 100  # then other tasks of the loop have their turn
_MAX_MESSAGES = 2000
_MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class LinkMessage:
    """A message that arrived.

    Attributes:
        retained: The broker had it before we subscribed.
        correlation: Correlation Data of MQTT 5.
        user_properties: Names and values of MQTT 5.
    """

    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None
    user_properties: tuple[tuple[str, str], ...] = ()


class MessageBacklog:
    """The messages that the thread has read and the loop has not taken. Bounded: `put` waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: list[LinkMessage] = []
        self._bytes = 0
        self._closed = False

    def put(self, message: LinkMessage) -> bool:
        """Add a message. Returns whether the loop must be told to take messages."""
        with self._changed:
            while self._is_full() and not self._closed:
                self._changed.wait()
            self._messages.append(message)
            self._bytes += _size(message)
            return len(self._messages) == 1

    def take(self) -> tuple[list[LinkMessage], bool]:
        """Take the oldest messages. Returns them, and whether there are more."""
        with self._changed:
            taken, self._messages = self._messages[:_MAX_TAKEN], self._messages[_MAX_TAKEN:]
            self._bytes -= sum(map(_size, taken))
            self._changed.notify_all()
            return taken, bool(self._messages)

    def close(self) -> None:
        """End every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._messages) >= _MAX_MESSAGES or self._bytes >= _MAX_BYTES


def _size(message: LinkMessage) -> int:
    return len(message.payload) + len(message.topic)

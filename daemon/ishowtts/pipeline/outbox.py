"""Events leave the inbox's outbox in order, and are forgotten there only once the broker has them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox
from ishowtts.pipeline.bell import Bell
from ishowtts.speech import Event

log = logging.getLogger(__name__)

SendEvents = Callable[[Sequence[Event], float], int]
_GROUP = 100
_CONFIRM_S = 5.0
_RETRY_S = 1.0
_IDLE_S = 30.0


class Outbox:
    """The thread `outbox`.

    Args:
        send: sends events in order and returns how many leading ones the broker has confirmed.
        on_event: told of each event once, whether or not the broker is there.
    """

    def __init__(self, inbox: Inbox, send: SendEvents, on_event: Callable[[Event], None]) -> None:
        self._inbox = inbox
        self._send = send
        self._on_event = on_event
        self._told = 0
        self._bell = Bell()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="outbox")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def nudge(self) -> None:
        """There are new events, or the broker is back."""
        self._bell.ring()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout_s: float) -> None:
        """Send what can be sent now, then end; the rest leaves after the next start."""
        self._closing = True
        self._bell.ring()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._bell.lower()
            last = self._closing
            done = self._flush()
            if last:
                return
            self._bell.wait(_IDLE_S if done else _RETRY_S)

    def _flush(self) -> bool:
        """Send until nothing is left; False where the broker did not take all."""
        try:
            while numbered := self._inbox.unsent(_GROUP):
                self._tell(numbered)
                confirmed = self._send([event for _, event in numbered], _CONFIRM_S)
                self._inbox.sent([number for number, _ in numbered[:confirmed]])
                if confirmed < len(numbered):
                    return False
        except InboxError as error:
            log.error("events wait in the outbox: %s", error)
            return False
        return True

    def _tell(self, numbered: Sequence[tuple[int, Event]]) -> None:
        for number, event in numbered:
            if number > self._told:
                self._told = number
                self._on_event(event)

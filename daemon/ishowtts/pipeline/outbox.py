"""Events leave the inbox's outbox in order, and are forgotten there only once the broker has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, settled
from ishowtts.pipeline.rounds import Rounds
from ishowtts.speech import Event

log = logging.getLogger(__name__)

SendEvents = Callable[[Sequence[tuple[int, Event]], float], int]
_GROUP = 100
_CONFIRM_S = 5.0
_RETRY_S = 1.0
_IDLE_S = 30.0


class Outbox(Rounds):
    """The thread `outbox`.

    Args:
        send: sends numbered events in order and returns how many leading ones the broker has confirmed.
        on_event: told of each event once, whether or not the broker is there.
    """

    def __init__(self, inbox: Inbox, send: SendEvents, on_event: Callable[[Event], None]) -> None:
        super().__init__("outbox")
        self._inbox = inbox
        self._send = send
        self._on_event = on_event
        # Of the latest round: what it left comes first in the next. An inbox back in its file has other numbers.
        self._told: set[tuple[int, str, str, str]] = set()

    def look(self, last: bool) -> float:
        """Send what can be sent; what cannot leaves later, after the next start at the latest."""
        return _IDLE_S if self._flush() else _RETRY_S

    def _flush(self) -> bool:
        """Send until nothing is left; False where the broker did not take all."""
        try:
            while numbered := settled(self._inbox.unsent(_GROUP)):
                self.progressed()
                self._tell(numbered)
                confirmed = self._send(numbered, _CONFIRM_S)
                self._inbox.sent(numbered[:confirmed])
                if confirmed < len(numbered):
                    return False
        except InboxError as error:
            log.error("events wait in the outbox: %s", error)
            return False
        return True

    def _tell(self, numbered: Sequence[tuple[int, Event]]) -> None:
        earlier, self._told = self._told, {(number, event.ts, event.id, event.event) for number, event in numbered}
        for number, event in numbered:
            if (number, event.ts, event.id, event.event) not in earlier:
                self._on_event(event)

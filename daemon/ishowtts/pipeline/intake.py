"""Arrivals to the inbox in groups; acknowledged once they are on disk, in the order they came."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from itertools import islice

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox
from ishowtts.pipeline.rounds import Rounds
from ishowtts.speech import Line, Reason, Rejection

log = logging.getLogger(__name__)

_GROUP = 100
_WAITING = 4096
_RETRY_S = 1.0
_IDLE_S = 60.0

Arrival = tuple["Line | Rejection", Callable[[], None]]


class Intake(Rounds):
    """The thread `intake`: a commit for each group of arrivals, then their acknowledgements.

    What cannot be committed is not acknowledged: it is tried again, and the broker keeps it meanwhile.
    """

    def __init__(self, inbox: Inbox) -> None:
        super().__init__("intake")
        self._inbox = inbox
        self._waiting: deque[Arrival] = deque()

    def offer(self, arrival: Line | Rejection, ack: Callable[[], None]) -> None:
        """Take one arrival. Never blocks.

        mosquitto 2.0.11 ignores a receive maximum, so the bound is our own: past it a line becomes its rejection.
        """
        if isinstance(arrival, Line) and len(self._waiting) >= _WAITING:
            detail = f"more than {_WAITING} lines arrived faster than the disk takes them; send fewer at once"
            arrival = Rejection(arrival.id, Reason.QUEUE_FULL, detail, arrival.reply_to)
        self._waiting.append((arrival, ack))
        self.nudge()

    def look(self, last: bool) -> float:
        """Commit what has arrived."""
        return _IDLE_S if self._commit_all() else _RETRY_S

    def _commit_all(self) -> bool:
        """Commit until nothing waits; False where the inbox refuses."""
        while self._waiting:
            group = list(islice(self._waiting, _GROUP))
            try:
                self._inbox.accept([arrival for arrival, _ in group])
            except InboxError as error:
                log.error("%d lines wait to be stored: %s", len(self._waiting), error)
                return False
            for _, ack in group:
                self._waiting.popleft()
                ack()
        return True

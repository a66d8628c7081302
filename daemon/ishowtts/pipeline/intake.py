"""Arrivals to the inbox in groups; acknowledged once they are on disk, in the order they came."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox
from ishowtts.pipeline.bell import Bell
from ishowtts.speech import Line, Reason, Rejection

log = logging.getLogger(__name__)

_GROUP = 100
_WAITING = 4096
_RETRY_S = 1.0

Arrival = tuple["Line | Rejection", Callable[[], None]]


class Intake:
    """The thread `intake`: a commit for each group of arrivals, then their acknowledgements.

    What cannot be committed is not acknowledged: it is tried again, and the broker keeps it meanwhile.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._waiting: deque[Arrival] = deque()
        self._bell = Bell()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="intake")

    def start(self) -> None:
        """Begin to take arrivals."""
        self._thread.start()

    def offer(self, arrival: Line | Rejection, ack: Callable[[], None]) -> None:
        """Take one arrival. Never blocks.

        mosquitto 2.0.11 ignores a receive maximum, so the bound is our own: past it a line becomes its rejection.
        """
        if isinstance(arrival, Line) and len(self._waiting) >= _WAITING:
            detail = f"more than {_WAITING} lines arrived faster than the disk takes them; send fewer at once"
            arrival = Rejection(arrival.id, Reason.QUEUE_FULL, detail, arrival.reply_to)
        self._waiting.append((arrival, ack))
        self._bell.ring()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout_s: float) -> None:
        """Commit what has arrived, then end."""
        self._closing = True
        self._bell.ring()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._bell.lower()
            last = self._closing
            done = self._commit_all()
            if last:
                return
            self._bell.wait(60.0 if done else _RETRY_S)

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

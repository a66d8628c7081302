"""Arrivals to the inbox in groups; acknowledged once they are on disk, in the order they came."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox
from ishowtts.speech import Line, Rejection

log = logging.getLogger(__name__)

_GROUP = 100
_WAITING = 4096

Arrival = tuple["Line | Rejection", Callable[[], None]]


class Intake:
    """The thread `intake`: a commit for each group of arrivals, then their acknowledgements.

    What cannot be committed is not acknowledged: the broker keeps it and delivers it again.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        # mosquitto 2.0.11 ignores our receive maximum, so the bound is our own.
        self._waiting: queue.Queue[Arrival | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="intake")

    def start(self) -> None:
        """Begin to take arrivals."""
        self._thread.start()

    def offer(self, arrival: Line | Rejection, ack: Callable[[], None]) -> None:
        """Take one arrival. Never blocks; past the bound it is left unacknowledged for the broker to keep."""
        try:
            self._waiting.put_nowait((arrival, ack))
        except queue.Full:
            log.warning("more than %d lines arrived at once; the broker keeps the rest for the next connection", _WAITING)

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def close(self, timeout_s: float) -> None:
        """Commit what has arrived, then end."""
        if self._thread.is_alive():
            self._waiting.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group, last = self._gather(first)
            self._commit(group)
            if last:
                return

    def _gather(self, first: Arrival) -> tuple[list[Arrival], bool]:
        group = [first]
        while len(group) < _GROUP:
            try:
                arrival = self._waiting.get_nowait()
            except queue.Empty:
                break
            if arrival is None:
                return group, True
            group.append(arrival)
        return group, False

    def _commit(self, group: list[Arrival]) -> None:
        try:
            self._inbox.accept([arrival for arrival, _ in group])
        except InboxError as error:
            log.error("%d lines stay with the broker: %s", len(group), error)
            return
        for _, ack in group:
            ack()

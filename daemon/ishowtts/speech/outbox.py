"""Events leave the inbox's outbox in order, and are forgotten there only once the broker has them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, settled
from ishowtts.model import Event
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

SendEvents = Callable[[Sequence[tuple[int, Event]], float], int]
_GROUP = 100
_CONFIRM_S = 5.0
_RETRY_S = 1.0
_IDLE_S = 30.0
_LATE_S = 60.0


class Outbox(LoopThread):
    """The thread `outbox`.

    Args:
        send: sends numbered events in order and returns how many leading ones the broker has confirmed.
        on_event: told of each event once, whether or not the broker is there.
        connected: whether the broker is there.
        late_s: after so many seconds in which the broker confirms nothing, `trouble` says so.
    """

    def __init__(
        self,
        inbox: Inbox,
        send: SendEvents,
        on_event: Callable[[Event], None],
        *,
        connected: Callable[[], bool] = lambda: True,
        late_s: float = _LATE_S,
    ) -> None:
        super().__init__("outbox")
        self._inbox = inbox
        self._send = send
        self._on_event = on_event
        self._connected = connected
        self._late_s = late_s
        self._unconfirmed_since: float | None = None  # while events wait and the broker is there
        self._told_late = False
        self._told_dropped = 0
        # Of the latest round: what it left comes first in the next. An inbox back in its file has other numbers.
        self._told: set[tuple[int, str, str, str]] = set()

    @property
    def trouble(self) -> str | None:
        """A sentence for the operator while the broker is there and confirms none of our events; else `None`."""
        since = self._unconfirmed_since
        if since is None or time.monotonic() - since < self._late_s:
            return None
        return f"the broker has confirmed no event for {self._late_s:.0f} s: events wait; look at the broker's log"

    def run_once(self, last: bool) -> float:
        """Send what can be sent; what cannot leaves later, after the next start at the latest."""
        try:
            done = self._flush()
        except Exception:
            # What one event does to the code that sends it must not end the thread: nobody would hear of any other.
            log.exception("the events could not be sent; they are tried again")
            self._confirmed(0)
            done = False
        self._tell_trouble()
        return _IDLE_S if done else _RETRY_S

    def _tell_trouble(self) -> None:
        """Log what happens to events that cannot be sent: once when it begins, and what was dropped meanwhile."""
        trouble, dropped = self.trouble, self._inbox.events_dropped
        if trouble and not self._told_late:
            log.error("%s", trouble)
        self._told_late = trouble is not None
        if self._unconfirmed_since is None and dropped > self._told_dropped:
            log.warning("%d events had no room in the outbox and were dropped", dropped - self._told_dropped)
            self._told_dropped = dropped

    def _flush(self) -> bool:
        """Send until nothing is left; False where the broker did not take all."""
        try:
            while numbered := settled(self._inbox.unsent(_GROUP)):
                self.progressed()
                self._tell(numbered)
                confirmed = self._send(numbered, _CONFIRM_S)
                self._confirmed(confirmed)
                self._inbox.sent(numbered[:confirmed])
                if confirmed < len(numbered):
                    return False
        except InboxError as error:
            log.error("events wait in the outbox: %s", error)
            return False
        self._unconfirmed_since = None
        return True

    def _confirmed(self, count: int) -> None:
        if count or not self._connected():
            self._unconfirmed_since = None
        elif self._unconfirmed_since is None:
            self._unconfirmed_since = time.monotonic()

    def _tell(self, numbered: Sequence[tuple[int, Event]]) -> None:
        earlier, self._told = self._told, {(number, event.ts, event.id, event.event) for number, event in numbered}
        for number, event in numbered:
            if (number, event.ts, event.id, event.event) not in earlier:
                self._on_event(event)

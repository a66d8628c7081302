"""Sends the events of the inbox in order, and removes each only once the broker has confirmed it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, wait_for
from ishowtts.model import Event
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

SendEvents = Callable[[Sequence[tuple[int, Event]], float], int]
_GROUP_SIZE = 100
_CONFIRM_S = 5.0
_RETRY_S = 1.0
_IDLE_S = 30.0
_LATE_S = 60.0


class Outbox(LoopThread):
    """The thread `outbox`.

    Args:
        send: Sends numbered events in order; returns how many of the first ones the broker has confirmed.
        on_event: Told of each event once, whether or not the broker is connected.
        connected: Whether the broker is connected.
        late_s: After so many seconds in which the broker confirms nothing, `problem` says so.
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
        self._unconfirmed_since_s: float | None = None  # while events wait and the broker is connected
        self._logged_late = False
        self._logged_dropped = 0
        # The events of the last group: those that were left come first in the next. Numbers alone would not do, since
        # an inbox that is back in its file has other ones.
        self._reported: set[tuple[int, str, str, str]] = set()

    @property
    def problem(self) -> str | None:
        """A sentence for the operator if the connected broker confirms none of our events; else `None`."""
        since_s = self._unconfirmed_since_s
        if since_s is None or time.monotonic() - since_s < self._late_s:
            return None
        return f"the broker has confirmed no event for {self._late_s:.0f} s: events wait; look at the broker's log"

    def run_once(self, last: bool) -> float:
        """Send what can be sent now. The rest leaves later, at the latest after the next start."""
        try:
            all_sent = self._send_all()
        except Exception:
            # An event that makes the sending code fail must not end the thread: no other would be sent any more.
            log.exception("the events could not be sent; they are tried again")
            self._note_confirmed(0)
            all_sent = False
        self._log_problem()
        return _IDLE_S if all_sent else _RETRY_S

    def _send_all(self) -> bool:
        """Send until no event is left; `False` if the broker did not confirm all."""
        try:
            while numbered := wait_for(self._inbox.unsent(_GROUP_SIZE)):
                self.progressed()
                self._report(numbered)
                confirmed = self._send(numbered, _CONFIRM_S)
                self._note_confirmed(confirmed)
                self._inbox.sent(numbered[:confirmed])
                if confirmed < len(numbered):
                    return False
        except InboxError as error:
            log.error("events wait in the outbox: %s", error)
            return False
        self._unconfirmed_since_s = None
        return True

    def _report(self, numbered: Sequence[tuple[int, Event]]) -> None:
        """Tell `on_event` of each event that the last call did not have, and remember these for the next call."""
        before, self._reported = (
            self._reported,
            {(number, event.ts, event.id, event.event) for number, event in numbered},
        )
        for number, event in numbered:
            if (number, event.ts, event.id, event.event) not in before:
                self._on_event(event)

    def _note_confirmed(self, count: int) -> None:
        if count or not self._connected():
            self._unconfirmed_since_s = None
        elif self._unconfirmed_since_s is None:
            self._unconfirmed_since_s = time.monotonic()

    def _log_problem(self) -> None:
        """Log once that events are not confirmed; once they are again, log how many were dropped."""
        problem, dropped = self.problem, self._inbox.events_dropped
        if problem and not self._logged_late:
            log.error("%s", problem)
        self._logged_late = problem is not None
        if self._unconfirmed_since_s is None and dropped > self._logged_dropped:
            log.warning("%d events had no room in the outbox and were dropped", dropped - self._logged_dropped)
            self._logged_dropped = dropped

"""Arrivals to the inbox in groups; acknowledged once they are on disk, in the order they came."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, settled
from ishowtts.logs import Untrusted
from ishowtts.pipeline.rounds import Rounds
from ishowtts.speech import Arrival, Line, Reason, Rejection

log = logging.getLogger(__name__)

_GROUP = 100
_MOST_HELD = 32 << 20  # characters
_OVERHEAD = 1000  # what a line takes besides its text, so that a flood of short ones is bounded too
_RETRY_S = 1.0
_IDLE_S = 60.0

Then = Callable[[], None]


@dataclass(frozen=True)
class _Session:
    """Stands between the arrivals of one session with the broker and those of the next."""

    name: str
    resumed: bool


class Intake(Rounds):
    """The thread `intake`: a commit for each group of arrivals, then their acknowledgements.

    What cannot be committed is not acknowledged: it is tried again, and the broker keeps it meanwhile.

    Args:
        admit: the policies: a line as it is to be spoken, or why it is not. Called once a line, in order.
    """

    def __init__(self, inbox: Inbox, admit: Callable[[Line], Line | Rejection]) -> None:
        super().__init__("intake")
        self._inbox = inbox
        self._admit = admit
        self._waiting: deque[tuple[Arrival | _Session, Then]] = deque()
        self._counting = threading.Lock()
        self._held = 0  # sizes of what waits
        self._group: list[tuple[Arrival, Then]] = []
        self._keeping: Future[None] | None = None  # the inbox's word on the group, once it was asked

    def offer(self, arrival: Arrival, ack: Then) -> None:
        """Take one arrival. Never blocks.

        mosquitto 2.0.11 ignores a receive maximum, so the bound is our own: past it a line becomes its rejection.
        """
        line = arrival.what
        if isinstance(line, Line) and self._held + _size(arrival) > _MOST_HELD:
            detail = f"{len(self._waiting)} lines arrived faster than the disk takes them; send fewer at once"
            arrival = replace(arrival, what=Rejection(line.id, Reason.QUEUE_FULL, detail, line.reply_to))
        with self._counting:
            self._held += _size(arrival)
        self._waiting.append((arrival, ack))
        self.nudge()

    def begin_session(self, name: str, resumed: bool, then: Then) -> None:
        """A connection stands; `then` is called once the inbox knows which session its deliveries belong to."""
        self._waiting.append((_Session(name, resumed), then))
        self.nudge()

    def look(self, last: bool) -> float:
        """Commit what has arrived."""
        try:
            while self._group or self._waiting:
                self._commit_some()
        except InboxError as error:
            log.error("%d lines wait to be stored: %s", len(self._group) + len(self._waiting), error)
            return _RETRY_S
        return _IDLE_S

    def _commit_some(self) -> None:
        """The next group of arrivals, or a session's beginning."""
        if not self._group and isinstance(session := self._waiting[0][0], _Session):
            settled(self._inbox.begin_session(session.name, session.resumed))
            self._waiting.popleft()[1]()
            return
        if self._keeping is None:
            self._gather()
            self._keeping = self._inbox.accept([arrival for arrival, _ in self._group])
        try:
            settled(self._keeping)
        except InboxError:
            # What the disk is only slow with is not asked for again: it would be kept twice.
            if self._keeping.done():
                self._keeping = None
            raise
        self._keeping = None
        group, self._group = self._group, []
        for _, ack in group:
            ack()

    def _gather(self) -> None:
        """Arrivals of one session to commit together, with those that the inbox refused before."""
        while self._waiting and len(self._group) < _GROUP and isinstance(arrival := self._waiting[0][0], Arrival):
            self._group.append((self._admitted(arrival), self._waiting.popleft()[1]))
            with self._counting:
                self._held -= _size(arrival)

    def _admitted(self, arrival: Arrival) -> Arrival:
        line = arrival.what
        if not isinstance(line, Line):
            return arrival
        try:
            return replace(arrival, what=self._admit(line))
        except Exception:
            # A text that the policies trip over would be delivered again and again, were the thread to end by it.
            log.exception("the policies could make nothing of line %r", Untrusted(line.id))
            detail = "the policies could make nothing of this text; the daemon's log says more"
            return replace(arrival, what=Rejection(line.id, Reason.FILTERED, detail, line.reply_to, line))


def _size(arrival: Arrival) -> int:
    return _OVERHEAD + (len(arrival.what.text) if isinstance(arrival.what, Line) else 0)

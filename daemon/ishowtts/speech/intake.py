"""Arrivals to the inbox in groups; acknowledged once they are on disk, in the order they came."""

from __future__ import annotations

import logging
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from ishowtts.errors import InboxError
from ishowtts.inbox import Inbox, settled
from ishowtts.model import Arrival, Event, Line, Outcome, Priority, Reason, Rejection, timestamp
from ishowtts.util.logs import Untrusted
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_GROUP = 100
_MOST_HELD = 32 << 20  # bytes
_MOST_WITH_REFUSALS = 48 << 20  # bytes, lines that are refused included
_MOST_WITH_URGENT = 52 << 20  # bytes, with lines above normal priority, which a flood of others must not shut out
_OVERHEAD = 1000  # what a line takes besides its texts, so that a flood of short ones is bounded too
_RETRY_S = 1.0
_IDLE_S = 60.0

Then = Callable[[], None]


@dataclass(frozen=True)
class _Session:
    """Stands between the arrivals of one session with the broker and those of the next."""

    name: str
    resumed: bool


class Intake(LoopThread):
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
        self._untold = 0  # lines beyond all bounds, to be told of together
        self._group: list[tuple[Arrival, Then]] = []
        self._singly: deque[tuple[Arrival, Then]] = deque()  # of a group in which one arrival made the inbox fail
        self._keeping: Future[None] | None = None  # the inbox's word on the group, once it was asked

    def offer(self, arrival: Arrival, ack: Then) -> None:
        """Take one arrival. Never blocks.

        mosquitto 2.0.11 ignores a receive maximum, so the bound is our own: past it a line becomes its rejection. Past
        a second bound only the number of lines is kept, and one rejection tells of all of them. They are acknowledged
        at once: nobody was told that they were accepted, and acknowledgements are sent in order, so that one held back
        would hold back those of accepted lines.
        """
        line, size = arrival.what, _size(arrival)
        goes_first = isinstance(line, Line) and line.priority > Priority.NORMAL
        most, most_in_all = (_MOST_WITH_URGENT,) * 2 if goes_first else (_MOST_HELD, _MOST_WITH_REFUSALS)
        if isinstance(line, Line) and self._held + size > most:
            detail = f"{len(self._waiting)} lines arrived faster than the disk takes them; send fewer at once"
            arrival = replace(arrival, what=Rejection(line.id, Reason.QUEUE_FULL, detail, line.reply_to, line))
            size = _size(arrival)
        with self._counting:
            fits = self._held + size <= most_in_all
            if fits:
                self._held += size
            else:
                self._untold += 1
        if not fits:
            ack()
            return
        self._waiting.append((arrival, ack))
        self.wake()

    def begin_session(self, name: str, resumed: bool, then: Then) -> None:
        """A connection stands; `then` is called once the inbox knows which session its deliveries belong to."""
        self._waiting.append((_Session(name, resumed), then))
        self.wake()

    def run_once(self, last: bool) -> float:
        """Commit what has arrived."""
        try:
            while self._group or self._singly or self._waiting:
                self.progressed()
                self._commit_some()
        except InboxError as error:
            log.error(
                "%d lines wait to be stored: %s", len(self._group) + len(self._singly) + len(self._waiting), error
            )
            return _RETRY_S
        return _IDLE_S

    def _commit_some(self) -> None:
        """The next group of arrivals, or a session's beginning."""
        if not self._group and not self._singly and isinstance(session := self._waiting[0][0], _Session):
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
        except Exception:
            self._keeping = None
            log.exception("%d arrivals could not be stored", len(self._group))
            self._part()
            return
        self._keeping = None
        group, self._group = self._group, []
        for _, ack in group:
            ack()

    def _part(self) -> None:
        """Have the arrivals of the group stored one by one; what fails alone is refused, so that it holds up nobody."""
        group, self._group = self._group, []
        if len(group) > 1:
            self._singly.extend(group)
            return
        [(arrival, ack)] = group
        what = arrival.what
        if isinstance(what, Rejection) and what.line is None:
            ack()  # even its refusal cannot be stored
            return
        detail = "it cannot be stored; the daemon's log says more"
        refused = Rejection(what.id, Reason.BAD_FIELD, detail, what.reply_to)
        self._singly.appendleft((replace(arrival, what=refused), ack))

    def _gather(self) -> None:
        """Arrivals of one session to commit together, with those that the inbox refused before."""
        if self._singly:
            self._group.append(self._singly.popleft())
            return
        while self._waiting and len(self._group) < _GROUP and isinstance(arrival := self._waiting[0][0], Arrival):
            self.progressed()
            self._group.append((self._admitted(arrival), self._waiting.popleft()[1]))
            with self._counting:
                self._held -= _size(arrival)
        with self._counting:
            untold, self._untold = self._untold, 0
        if untold:
            detail = f"{untold} more lines arrived faster than the disk takes them; send fewer at once"
            told = {"reason": Reason.QUEUE_FULL.value, "detail": detail, "count": untold}
            # Not as an arrival: it tells of many lines, and must not be counted as one of a flood of refused ones.
            self._inbox.record(Event(timestamp(time.time()), uuid.uuid4().hex, Outcome.REJECTED.value, told))

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
    """About how many bytes an arrival holds in memory."""
    what = arrival.what
    line = what.line if isinstance(what, Rejection) else what
    held: list[str | bytes | None] = [what.id]
    if isinstance(what, Rejection):
        held.append(what.detail)
    if line is not None:
        held += [line.text, line.voice, line.author, line.chime if isinstance(line.chime, str) else None]
    if what.reply_to is not None:
        held += [what.reply_to.topic, what.reply_to.correlation]
    return _OVERHEAD + sum(sys.getsizeof(each) for each in held if each is not None)

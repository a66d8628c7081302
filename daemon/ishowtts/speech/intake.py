"""Stores arriving lines in the inbox in groups, and acknowledges them once they are on disk, in order of arrival."""

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
from ishowtts.inbox import Inbox, wait_for
from ishowtts.model import Acknowledge, Arrival, Event, Line, Outcome, Priority, Reason, Rejection, timestamp
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_GROUP_SIZE = 100
_MAX_BYTES = 32 << 20  # of lines
_MAX_BYTES_WITH_REJECTED = 48 << 20  # of lines and rejected lines
_MAX_BYTES_WITH_URGENT = 52 << 20  # of all, with lines above normal priority: a flood of others must not lock them out
_OVERHEAD_BYTES = 1000  # of a line besides its texts, so that a flood of short lines is bounded too
_RETRY_S = 1.0
_IDLE_S = 60.0


@dataclass(frozen=True)
class _SessionStart:
    """Separates the arrivals of one session with the broker from those of the next."""

    name: str
    resumed: bool


class Intake(LoopThread):
    """The thread `intake`: commits each group of arrivals, then acknowledges them.

    What cannot be committed is not acknowledged. It is tried again, and until then the broker keeps it.

    Args:
        admit: Applies the policies: returns the line as it is to be spoken, or why it is rejected. It is called once a
            line, in order of arrival.
    """

    def __init__(self, inbox: Inbox, admit: Callable[[Line], Line | Rejection]) -> None:
        super().__init__("intake")
        self._inbox = inbox
        self._admit = admit
        self._waiting: deque[tuple[Arrival | _SessionStart, Callable[[], None]]] = deque()
        self._lock = threading.Lock()  # for the two counts
        self._waiting_bytes = 0
        self._dropped = 0  # lines beyond all limits; one rejection counts them
        self._group: list[tuple[Arrival, Acknowledge]] = []
        self._one_by_one: deque[tuple[Arrival, Acknowledge]] = deque()  # from a group in which one made the inbox fail
        self._commit: Future[None] | None = None  # of the group, once the inbox was asked

    def set_admission(self, admit: Callable[[Line], Line | Rejection]) -> None:
        """Apply other policies to the lines that are not admitted yet."""
        self._admit = admit

    def offer(self, arrival: Arrival, acknowledge: Acknowledge) -> None:
        """Take one arrival. Never blocks. `acknowledge` is called once it is on disk, or was only counted.

        mosquitto 2.0.11 ignores a receive maximum, so there is a limit here. Beyond it a line becomes its rejection.
        Beyond a second limit lines are only counted, and one rejection tells their number. These are acknowledged at
        once: nobody was told that they were accepted. And because acknowledgements are sent in order, one that is held
        back would hold back those of accepted lines.
        """
        line, size = arrival.what, _size(arrival)
        goes_first = isinstance(line, Line) and line.priority > Priority.NORMAL
        max_lines, max_all = (_MAX_BYTES_WITH_URGENT,) * 2 if goes_first else (_MAX_BYTES, _MAX_BYTES_WITH_REJECTED)
        if isinstance(line, Line) and self._waiting_bytes + size > max_lines:
            detail = f"{len(self._waiting)} lines arrived faster than the disk takes them; send fewer at once"
            arrival = replace(arrival, what=Rejection(line.id, Reason.QUEUE_FULL, detail, line.reply_to, line))
            size = _size(arrival)
        with self._lock:
            fits = self._waiting_bytes + size <= max_all
            if fits:
                self._waiting_bytes += size
            else:
                self._dropped += 1
        if not fits:
            acknowledge()
            return
        self._waiting.append((arrival, acknowledge))
        self.wake()

    def begin_session(self, name: str, resumed: bool, on_stored: Callable[[], None]) -> None:
        """A session with the broker begins.

        Args:
            on_stored: Called once the inbox knows to which session the next deliveries belong.
        """
        self._waiting.append((_SessionStart(name, resumed), on_stored))
        self.wake()

    def run_once(self, last: bool) -> float:
        """Commit what has arrived."""
        try:
            while self._group or self._one_by_one or self._waiting:
                self.progressed()
                self._commit_next()
        except InboxError as error:
            count = len(self._group) + len(self._one_by_one) + len(self._waiting)
            log.error("%d lines wait to be stored: %s", count, error)
            return _RETRY_S
        return _IDLE_S

    def _commit_next(self) -> None:
        """Commit the next group of arrivals, or the start of a session."""
        if not self._group and not self._one_by_one and isinstance(session := self._waiting[0][0], _SessionStart):
            wait_for(self._inbox.begin_session(session.name, session.resumed))
            self._waiting.popleft()[1]()
            return
        if self._commit is None:
            self._fill_group()
            self._commit = self._inbox.accept([arrival for arrival, _ in self._group])
        try:
            wait_for(self._commit)
        except InboxError:
            # A commit that the disk is only slow with is not repeated: the lines would be stored twice.
            if self._commit.done():
                self._commit = None
            raise
        except Exception:
            # One of the arrivals may be the cause: store the others without it.
            self._commit = None
            log.exception("%d arrivals could not be stored", len(self._group))
            self._split_group()
            return
        self._commit = None
        group, self._group = self._group, []
        for _, acknowledge in group:
            acknowledge()

    def _split_group(self) -> None:
        """Have the arrivals of the group stored one by one. One that fails alone is rejected, so that others go on."""
        group, self._group = self._group, []
        if len(group) > 1:
            self._one_by_one.extend(group)
            return
        [(arrival, acknowledge)] = group
        what = arrival.what
        if isinstance(what, Rejection) and what.line is None:
            acknowledge()  # even its rejection cannot be stored
            return
        detail = "it cannot be stored; the daemon's log says more"
        rejection = Rejection(what.id, Reason.BAD_FIELD, detail, what.reply_to)
        self._one_by_one.appendleft((replace(arrival, what=rejection), acknowledge))

    def _fill_group(self) -> None:
        """Collect arrivals of one session to commit together; those of a split group come first, one at a time."""
        if self._one_by_one:
            self._group.append(self._one_by_one.popleft())
            return
        while self._waiting and len(self._group) < _GROUP_SIZE and isinstance(arrival := self._waiting[0][0], Arrival):
            self.progressed()
            self._group.append((self._admitted(arrival), self._waiting.popleft()[1]))
            with self._lock:
                self._waiting_bytes -= _size(arrival)
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            detail = f"{dropped} more lines arrived faster than the disk takes them; send fewer at once"
            data = {"reason": Reason.QUEUE_FULL.value, "detail": detail, "count": dropped}
            # Not as an arrival: it tells of many lines, and must not be counted as one of a flood of rejected ones.
            self._inbox.record(Event(timestamp(time.time()), uuid.uuid4().hex, Outcome.REJECTED.value, data))

    def _admitted(self, arrival: Arrival) -> Arrival:
        line = arrival.what
        if not isinstance(line, Line):
            return arrival
        try:
            return replace(arrival, what=_with_sent_text(self._admit(line), line.text))
        except Exception:
            # If the exception ended the thread, the broker would deliver the same text again after each start.
            fields = log_fields(line_id=line.id)
            log.exception("the policies could make nothing of line %r", Untrusted(line.id), extra=fields)
            detail = "the policies could make nothing of this text; the daemon's log says more"
            return replace(arrival, what=Rejection(line.id, Reason.FILTERED, detail, line.reply_to, line))


def _with_sent_text(what: Line | Rejection, sent_text: str) -> Line | Rejection:
    """Note for the history how a text was sent that the policies have changed."""
    line = what.line if isinstance(what, Rejection) else what
    if line is None or line.text == sent_text:
        return what
    line = replace(line, sent_text=sent_text)
    return replace(what, line=line) if isinstance(what, Rejection) else line


def _size(arrival: Arrival) -> int:
    """About how many bytes an arrival takes in memory."""
    what = arrival.what
    line = what.line if isinstance(what, Rejection) else what
    parts: list[str | bytes | None] = [what.id]
    if isinstance(what, Rejection):
        parts += [what.detail, what.sent, what.text, what.author]
    if line is not None:
        parts += [
            line.text,
            line.bare_text,
            line.voice,
            line.author,
            line.chime if isinstance(line.chime, str) else None,
        ]
    if what.reply_to is not None:
        parts += [what.reply_to.topic, what.reply_to.correlation]
    return _OVERHEAD_BYTES + sum(sys.getsizeof(part) for part in parts if part is not None)

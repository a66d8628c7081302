"""Keeps the lines of one appliance, as its events and its history tell them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from ishowtts.limits import SENT_CHARS
from ishowtts.model import FINAL_EVENTS
from ishowtts_gateway.appliances.line_record import INTERRUPTED, SPEAKING, UNKNOWN, WAITING, LineRecord
from ishowtts_gateway.appliances.published_value import number, text

MAX_ENDED = 500
MAX_WAITING = 1000
MAX_CHARS = 1_000_000  # of all texts of all lines; usual lines have 200
_MAX_SEEN = 500  # a daemon that was killed sends events again that the broker had not confirmed: 20 at most
_MAX_NAME_CHARS = 128
_MAX_DETAIL_CHARS = 500
_MAX_TS_CHARS = 40

_STATUS = {"accepted": WAITING, "started": SPEAKING, "resumed": SPEAKING, "interrupted": INTERRUPTED}
_OPEN = frozenset(_STATUS.values())
_DETAILS = ("detail", "error", "note", "by", "into", "of")
_TEXTS = {
    "text": SENT_CHARS + 1,
    "author": _MAX_NAME_CHARS,
    "priority": _MAX_NAME_CHARS,
    "reason": _MAX_NAME_CHARS,
    "engine": _MAX_NAME_CHARS,
    "voice": _MAX_NAME_CHARS,
}
_TIMES = dict.fromkeys(("accepted_ts", "started_ts", "ended_ts"), _MAX_TS_CHARS)
_NUMBERS = ("rtf", "ttfa_s", "queue_s", "synth_s", "audio_s")
_TRUTHS = ("audible", "cached")
_END_UNKNOWN = "its end was not reported; the appliance may have lost it"


class LineLog:
    """The lines that wait, are spoken, or have ended. Bounded: the oldest are dropped.

    Events come at least once. An event with the `id`, the `event` and the `ts` of an earlier one is a repetition. While
    the gateway or the broker is away, events are missed; `merge` and `end_missing` correct the log afterwards.

    Args:
        monotonic_s, wall_s: Clocks.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._max_ended, self._max_waiting, self._max_chars = MAX_ENDED, MAX_WAITING, MAX_CHARS
        self._chars = 0
        self._waiting: OrderedDict[str, tuple[float, LineRecord]] = OrderedDict()  # with the time of its last event
        self._ended: OrderedDict[str, tuple[float, LineRecord]] = OrderedDict()  # with the time of its end, in order
        self._seen: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._ended)

    def limit(self, max_ended: int, max_waiting: int, max_chars: int) -> None:
        """Keep at most so many lines, with so many characters in all, from now on."""
        self._max_ended, self._max_waiting = min(max_ended, MAX_ENDED), min(max_waiting, MAX_WAITING)
        self._max_chars = min(max_chars, MAX_CHARS)
        self._drop_oldest()

    def is_repetition(self, event: Mapping[str, Any]) -> bool:
        """Whether an event of a line came before. Remembers it."""
        line_id, name, ts = event.get("id"), event.get("event"), event.get("ts")
        if not all(isinstance(value, str) and value for value in (line_id, name, ts)):
            return False
        key = hash((line_id, name, ts))
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return False

    def apply(self, event: Mapping[str, Any]) -> LineRecord | None:
        """Apply an event. Returns the changed record; `None` if the event changes no line."""
        line_id, name = text(event.get("id"), _MAX_NAME_CHARS), event.get("event")
        if not line_id or not isinstance(name, str) or (name not in _STATUS and name not in FINAL_EVENTS):
            return None
        if name == "duplicate" and self.get(line_id) is not None:
            return None  # it is about a later message; the line of this id is the first one
        ts = text(event.get("ts"), _MAX_TS_CHARS)
        before = self._line_of(line_id, name, ts)
        changed = _changed(before, name, ts, event)
        if changed == self.get(line_id):
            return None
        self._store(changed, self._monotonic_s())
        self._drop_oldest()
        return changed

    def merge(self, lines: Sequence[Any]) -> list[LineRecord]:
        """Apply the lines of a `history` reply, newest first. Returns the changed records, oldest first.

        What an event has told stays, except that the history knows of an end.
        """
        offset_s = self._wall_s() - self._monotonic_s()
        changed = []
        for line in reversed(lines):
            record = _of_history(line) if isinstance(line, dict) else None
            if record is None:
                continue
            known = self.get(record.id)
            if known is not None:
                if _is_later(known, record):
                    continue
                told = {key: value for key, value in vars(known).items() if value is not None}
                if record.status not in _OPEN and known.status in (*_OPEN, UNKNOWN):
                    told.pop("status")
                    told.pop("ended_ts", None)
                    told.pop("detail", None)
                record = replace(record, **told)
                if record == known:
                    continue
            ended_s = epoch_s(record.ended_ts)
            now_s = self._monotonic_s()
            self._store(record, now_s if ended_s is None else min(now_s, ended_s - offset_s))
            changed.append(record)
        self._ended = OrderedDict(sorted(self._ended.items(), key=lambda item: item[1][0]))
        self._waiting = OrderedDict(sorted(self._waiting.items(), key=lambda item: item[1][1].accepted_ts or ""))
        self._drop_oldest()
        return changed

    def missing(self, still_open: Callable[[LineRecord], bool], quiet_s: float) -> list[LineRecord]:
        """The lines without an end that seem to have ended.

        Args:
            still_open: Returns whether a line still waits or is spoken.
            quiet_s: Lines that had an event within this time are left out.
        """
        until_s = self._monotonic_s() - quiet_s
        return [record for at_s, record in self._waiting.values() if at_s <= until_s and not still_open(record)]

    def end_missing(self, still_open: Callable[[LineRecord], bool], quiet_s: float) -> list[LineRecord]:
        """Mark these lines as `unknown`. Returns them. See `missing`."""
        ended = [replace(record, status=UNKNOWN, detail=_END_UNKNOWN) for record in self.missing(still_open, quiet_s)]
        for record in ended:
            self._store(record, self._monotonic_s())
        self._drop_oldest()
        return ended

    def get(self, line_id: str) -> LineRecord | None:
        """The line of an id; `None` if it is not known."""
        found = self._waiting.get(line_id) or self._ended.get(line_id)
        return None if found is None else found[1]

    def waiting(self) -> list[LineRecord]:
        """The lines without an end, in the order of their arrival."""
        return [record for _, record in self._waiting.values()]

    def recent(self, count: int) -> list[LineRecord]:
        """The newest lines, newest first: those without an end, then those that ended."""
        both = (record for lines in (self._waiting, self._ended) for _, record in reversed(lines.values()))
        return list(islice(both, count))

    def ended_since(self, epoch_s: float) -> list[tuple[float, LineRecord]]:
        """The lines that ended at or after a time, oldest first, each with the time of its end in seconds since 1970.

        It is the time at which the event came, because the clock of a board may be wrong.
        """
        offset_s = self._wall_s() - self._monotonic_s()
        ended = ((round(at_s + offset_s, 3), record) for at_s, record in self._ended.values())
        return [(at_s, record) for at_s, record in ended if at_s >= epoch_s]

    def _line_of(self, line_id: str, name: str, ts: str | None) -> LineRecord:
        """The line that an event is about. A new one if the event is of a later line with the id of the known one."""
        known = self.get(line_id)
        return LineRecord(line_id, WAITING) if known is None or _begins_again(known, name, ts) else known

    def _store(self, record: LineRecord, at_s: float) -> None:
        """Store a record at the place of the known one of its id, or as the newest one."""
        before = self.get(record.id)
        self._chars += _chars(record) - (0 if before is None else _chars(before))
        lines, others = self._waiting, self._ended
        if record.status not in _OPEN:
            lines, others = others, lines
            if before is not None and before.status not in _OPEN:
                if before.ended_ts == record.ended_ts:
                    at_s = self._ended[record.id][0]
                else:
                    del self._ended[record.id]
        others.pop(record.id, None)
        lines[record.id] = (at_s, record)

    def _drop_oldest(self) -> None:
        while len(self._ended) > self._max_ended or (self._ended and self._chars > self._max_chars):
            self._drop(self._ended)
        while len(self._waiting) > self._max_waiting or (self._waiting and self._chars > self._max_chars):
            self._drop(self._waiting)

    def _drop(self, lines: OrderedDict[str, tuple[float, LineRecord]]) -> None:
        _, (_, record) = lines.popitem(last=False)
        self._chars -= _chars(record)


def epoch_s(ts: str | None) -> float | None:
    """The time of an event in seconds since 1970; `None` if it cannot be parsed."""
    try:
        return datetime.fromisoformat((ts or "").replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _chars(record: LineRecord) -> int:
    return sum(len(value) for value in vars(record).values() if isinstance(value, str))


def _begins_again(known: LineRecord, name: str, ts: str | None) -> bool:
    """Whether an event is of another line with the same id. Else it may be an event that comes late."""
    if name == "accepted" and known.accepted_ts is not None:
        return ts != known.accepted_ts
    if known.status in (*_OPEN, UNKNOWN):
        return False
    if name in FINAL_EVENTS:
        return (name, ts) != (known.status, known.ended_ts)
    return (ts or "") > (known.ended_ts or "")


def _is_later(known: LineRecord, told: LineRecord) -> bool:
    """Whether a known line is a later one than the line of the same id in the history."""
    return None not in (known.accepted_ts, told.accepted_ts) and (known.accepted_ts or "") > (told.accepted_ts or "")


def _changed(line: LineRecord, name: str, ts: str | None, event: Mapping[str, Any]) -> LineRecord:
    """The line after an event."""
    told = _values(event, _TEXTS)
    if line.status not in (*_OPEN, UNKNOWN):  # the event comes late: the end stays
        told = {key: value for key, value in told.items() if getattr(line, key) is None}
    elif name in FINAL_EVENTS:
        details = (text(event.get(key), _MAX_DETAIL_CHARS) for key in _DETAILS)
        told |= {"status": name, "ended_ts": ts, "detail": next(filter(None, details), None)}
    elif name != "accepted" or line.status == UNKNOWN:
        told |= {"status": _STATUS[name], "detail": None}
    if name == "accepted":
        told["accepted_ts"] = ts
    elif name == "started":
        told["started_ts"] = ts
    return replace(line, **told)


def _of_history(line: Mapping[str, Any]) -> LineRecord | None:
    """A line of a `history` reply; `None` if it is not one."""
    line_id, status = text(line.get("id"), _MAX_NAME_CHARS), line.get("status")
    if line_id is None or not isinstance(status, str) or (status not in _OPEN and status not in FINAL_EVENTS):
        return None
    return LineRecord(line_id, status, **_values(line, {**_TEXTS, **_TIMES, "detail": _MAX_DETAIL_CHARS}))


def _values(found: Mapping[str, Any], texts: Mapping[str, int]) -> dict[str, Any]:
    """The values of an event or a line that are known and plausible."""
    values: dict[str, Any] = {key: text(found.get(key), chars) for key, chars in texts.items()}
    values |= {key: number(found.get(key)) for key in _NUMBERS}
    values |= {key: value for key in _TRUTHS if isinstance(value := found.get(key), bool)}
    return {key: value for key, value in values.items() if value is not None}

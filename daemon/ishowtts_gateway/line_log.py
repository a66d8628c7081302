"""Keeps the lines of one appliance as its events tell them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from ishowtts.limits import SENT_CHARS
from ishowtts.model import FINAL_EVENTS
from ishowtts_gateway.line_record import INTERRUPTED, SPEAKING, WAITING, LineRecord
from ishowtts_gateway.published_value import number, text

MAX_ENDED = 500
MAX_WAITING = 1000
_MAX_SEEN = 4 * (MAX_ENDED + MAX_WAITING)
_MAX_NAME_CHARS = 128
_MAX_DETAIL_CHARS = 500
_MAX_TS_CHARS = 40

_STATUS = {"accepted": WAITING, "started": SPEAKING, "resumed": SPEAKING, "interrupted": INTERRUPTED}
_DETAILS = ("detail", "error", "note", "by", "into", "of")
_TEXTS = {
    "text": SENT_CHARS + 1,
    "author": _MAX_NAME_CHARS,
    "priority": _MAX_NAME_CHARS,
    "reason": _MAX_NAME_CHARS,
    "engine": _MAX_NAME_CHARS,
    "voice": _MAX_NAME_CHARS,
}
_NUMBERS = ("rtf", "ttfa_s", "queue_s", "synth_s", "audio_s")
_TRUTHS = ("audible", "cached")


class LineLog:
    """The lines that wait, are spoken, or have ended. Bounded: the oldest are dropped.

    Events come at least once. An event with the `id`, the `event` and the `ts` of an earlier one is a repetition.

    Args:
        monotonic_s, wall_s: Clocks.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._waiting: OrderedDict[str, LineRecord] = OrderedDict()
        self._ended: OrderedDict[str, tuple[float, LineRecord]] = OrderedDict()  # with the monotonic time of its end
        self._seen: OrderedDict[tuple[str, str, str | None], None] = OrderedDict()

    def apply(self, event: Mapping[str, Any]) -> LineRecord | None:
        """Apply an event. Returns the changed record; `None` if the event changes no line, or is a repetition."""
        line_id, name = text(event.get("id"), _MAX_NAME_CHARS), event.get("event")
        if not line_id or not isinstance(name, str) or (name not in _STATUS and name not in FINAL_EVENTS):
            return None
        ts = text(event.get("ts"), _MAX_TS_CHARS)
        if (line_id, name, ts) in self._seen:
            return None
        self._seen[line_id, name, ts] = None
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        if name == "duplicate" and self.get(line_id) is not None:
            return None  # it is about a later message; the line of this id is the first one
        record = self._base(line_id, name, ts)
        return self._changed(record, name, ts, event)

    def get(self, line_id: str) -> LineRecord | None:
        """The line of an id; `None` if it is not known."""
        if (waiting := self._waiting.get(line_id)) is not None:
            return waiting
        ended = self._ended.get(line_id)
        return None if ended is None else ended[1]

    def waiting(self) -> list[LineRecord]:
        """The lines without an end, oldest first."""
        return list(self._waiting.values())

    def recent(self, count: int) -> list[LineRecord]:
        """The newest lines, newest first: those without an end, then those that ended."""
        ended = (record for _, record in islice(reversed(self._ended.values()), count))
        return [*reversed(self._waiting.values()), *ended][:count]

    def ended_since(self, epoch_s: float) -> list[tuple[float, LineRecord]]:
        """The lines that ended at or after a time, oldest first, each with the time at which we learned of its end."""
        offset_s = self._wall_s() - self._monotonic_s()
        return [
            (round(at_s + offset_s, 3), record) for at_s, record in self._ended.values() if at_s + offset_s >= epoch_s
        ]

    def _base(self, line_id: str, name: str, ts: str | None) -> LineRecord:
        """The record that an event changes. A new one if the event is of a later line with the same id."""
        if (record := self._waiting.get(line_id)) is not None:
            return record
        ended = self._ended.get(line_id)
        if ended is None:
            return LineRecord(line_id, WAITING)
        record = ended[1]
        later = name in FINAL_EVENTS or (ts or "") > (record.ended_ts or "")
        other = name == "accepted" and record.accepted_ts is not None
        return LineRecord(line_id, WAITING) if later or other else record

    def _changed(self, record: LineRecord, name: str, ts: str | None, event: Mapping[str, Any]) -> LineRecord:
        told: dict[str, Any] = {key: text(event.get(key), chars) for key, chars in _TEXTS.items()}
        told |= {key: number(event.get(key)) for key in _NUMBERS}
        told |= {key: value if isinstance(value := event.get(key), bool) else None for key in _TRUTHS}
        if record.status in FINAL_EVENTS:  # an event that comes late; the end stays
            told = {key: value for key, value in told.items() if getattr(record, key) is None}
        elif name in FINAL_EVENTS:
            told |= {"status": name, "ended_ts": ts, "detail": _detail(event)}
        elif name != "accepted" or record.status == WAITING:
            told["status"] = _STATUS[name]
        if name == "accepted":
            told["accepted_ts"] = ts
        elif name == "started":
            told["started_ts"] = ts
        changed = replace(record, **{key: value for key, value in told.items() if value is not None})
        self._store(changed)
        return changed

    def _store(self, record: LineRecord) -> None:
        if record.status not in FINAL_EVENTS:
            self._ended.pop(record.id, None)
            self._waiting[record.id] = record
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
            return
        self._waiting.pop(record.id, None)
        known = self._ended.get(record.id)
        if known is not None and known[1].ended_ts == record.ended_ts:
            self._ended[record.id] = (known[0], record)
            return
        self._ended.pop(record.id, None)
        self._ended[record.id] = (self._monotonic_s(), record)
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)


def epoch_s(ts: str | None) -> float | None:
    """The time of an event in seconds since 1970; `None` if it cannot be parsed."""
    try:
        return datetime.fromisoformat((ts or "").replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _detail(event: Mapping[str, Any]) -> str | None:
    return next(filter(None, (text(event.get(key), _MAX_DETAIL_CHARS) for key in _DETAILS)), None)

"""Logs and counts the events of lines: one log line when a line is accepted, and one when it ends.

Commands are logged by `speech/commands`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ishowtts.model import Event, Outcome
from ishowtts.status.telemetry import Telemetry
from ishowtts.util.logs import Untrusted, log_fields
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_WARNINGS = {"rejected", "failed", "evicted"}
_DEBUG = {"started"}
_OUR_OWN_FORMATS = {"reason", "by", "engine"}  # these fields of events never hold text of a publisher
_LOGGED_ALONE = 5
_MAX_TEXT_CHARS = 200  # of a line in the log
_FIRST = {"accepted", "rejected", "merged", "duplicate"}  # events that come first: their log line has the text
_WORDS = {"text", "author"}
_FINISHED = ("audio_s", "engine", "rtf", "queue_s", "ttfa_s", "cached", "note")
"""The fields of `finished` that its log line shows, in this order. Of other events it shows all fields."""
_FORMATS = {
    "audio_s": "%s s of speech",
    "engine": "by %s",
    "rtf": "RTF %s",
    "queue_s": "waited %s s",
    "ttfa_s": "heard after %s s",
    "cached": "from the cache",
    "note": "%s",
    "queue_depth": "%s lines waiting",
    "by": "by %s",
    "reason": "%s",
    "detail": "%s",
    "error": "%s",
}
_USUAL = {"cached": False, "queue_depth": 1, "done": []}
"""Values that a log line leaves out."""

_LogPart = tuple[str, object]
"""A part of a log message, with a place for its value unless it has none, and the value."""


class EventLog:
    """Logs each event and counts the outcomes for telemetry. Any thread may call any method.

    Of the rejections of 10 s, the first five are logged one by one and the others are summed up in one line, so that
    a flood of bad messages does not fill the disk.

    Args:
        now_s: Clock that never jumps, in seconds.
    """

    def __init__(self, telemetry: Telemetry, now_s: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._rejections = RateLimit(_LOGGED_ALONE, now_s)

    def record(self, event: Event) -> None:
        """Log and count one event. To be called once for each event."""
        outcome = _OUTCOMES.get(event.event)
        if outcome is not None:
            self._telemetry.count(outcome, event.data.get("count", 1))
        if event.event == "command":
            return
        if outcome is Outcome.REJECTED and "count" not in event.data:
            self.sum_up()
            if not self._rejections.allows(str(event.data.get("reason"))):
                return
        level = logging.WARNING if event.event in _WARNINGS else logging.INFO
        level = logging.DEBUG if event.event in _DEBUG else level
        if not log.isEnabledFor(level):
            return
        words = event.data if event.event in _FIRST else {}
        text, author = words.get("text"), words.get("author")
        named: list[_LogPart] = [
            ("%s", event.event),
            *([] if text is None else [("%r", Untrusted(_clipped(str(text))))]),
        ]
        source: list[_LogPart] = [
            *([] if author is None else [("from %r", Untrusted(author))]),
            ("id %r", Untrusted(event.id)),
        ]
        parts = _log_parts(event)
        message = f"{_words(named, ' ')} ({_words(source, ', ')}){': ' if parts else ''}{_words(parts, ', ')}"
        values = (value for pattern, value in (*named, *source, *parts) if "%" in pattern)
        log.log(level, message, *values, extra=_journal_fields(event))

    def sum_up(self, *, last: bool = False) -> None:
        """Log how many rejections had no line of their own, once their 10 s are over. To be called every few seconds.

        Args:
            last: Log them now.
        """
        not_logged = self._rejections.held_back(last=last)
        if not_logged:
            each = ", ".join(f"{reason} {count}" for reason, count in not_logged.most_common())
            lines = "line was" if not_logged.total() == 1 else "lines were"
            summary = log_fields(event="rejected", outcome=Outcome.REJECTED.value, count=not_logged.total())
            log.warning("%d more %s rejected (%s)", not_logged.total(), lines, each, extra=summary)


def _log_parts(event: Event) -> list[_LogPart]:
    """What a log line tells besides text and id."""
    keys = _FINISHED if event.event == Outcome.FINISHED.value else [key for key in event.data if key not in _WORDS]
    parts: list[_LogPart] = []
    for key in keys:
        value = event.data.get(key)
        if key == "engine" and (several := event.data.get("engines")):
            value = ", ".join(several)
        if value is None or (key in _USUAL and value == _USUAL[key]):
            continue
        ours = key in _OUR_OWN_FORMATS or isinstance(value, (bool, int, float))
        parts.append((_FORMATS.get(key, f"{key}=%s"), value if ours else Untrusted(value)))
    return parts


def _journal_fields(event: Event) -> dict[str, dict[str, object]]:
    """The fields by which `journalctl` finds the log line of an event. None of them has the text or the author."""
    data = event.data
    return log_fields(
        event=event.event,
        outcome=event.event if event.event in _OUTCOMES else None,
        line_id=event.id,
        engine=tuple(data.get("engines", ())) or data.get("engine"),
        voice=data.get("voice"),
        reason=data.get("reason") or data.get("by"),
        count=data.get("count"),
    )


def _words(parts: list[_LogPart], separator: str) -> str:
    return separator.join(words for words, _ in parts)


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_TEXT_CHARS else f"{text[: _MAX_TEXT_CHARS - 1]}…"

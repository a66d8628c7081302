"""The request for older lines (`history`), and the payload of its reply."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ishowtts.inbox import HistoryEntry
from ishowtts.inbox.columns import event_text
from ishowtts.model import Outcome, timestamp
from ishowtts.mqtt import strict_json

HISTORY = "history"
"""The command."""

USUAL_LIMIT = 50

_NUMBERS = ("rtf", "ttfa_s", "queue_s", "synth_s", "audio_s")
_TRUTH_VALUES = ("audible", "cached")
_REASONS = ("detail", "error", "note", "by")  # what says in words why a line ended so
_QUOTING = (Outcome.REJECTED, Outcome.FAILED)  # why a line ended so may quote its text
_MAX_ID_CHARS = 128


@dataclass(frozen=True)
class HistoryRequest:
    """A request for lines of the history, the newest first.

    Attributes:
        limit: How many lines, 1 to 100.
        before_seq: Only lines that came before the line of this number; `None`: the newest.
        transaction: The requester's name of the request.
        fault: Why it cannot be answered with lines, in a sentence; `None`: it can.
    """

    limit: int = USUAL_LIMIT
    before_seq: int | None = None
    transaction: str | None = None
    fault: str | None = None


def history_payload(
    entries: Iterable[HistoryEntry], request: HistoryRequest, *, private: bool, max_bytes: int
) -> bytes:
    """The reply to a request: as many of the entries as it asks for and as there is room for, at least one.

    Args:
        entries: The newest first. One more than the request asks for says that there are older ones.
        private: Whether texts and authors are withheld (`log.private`).
    """
    lines: list[bytes] = []
    size = len(_reply(request, [], before=0, private=private))
    last_seq = before = None
    for entry in entries:
        line = strict_json.dumps(line_fields(entry, private=private))
        size += len(line) + 1
        if len(lines) == request.limit or (lines and size > max_bytes):
            before = last_seq
            break
        lines.append(line)
        last_seq = entry.seq
    return _reply(request, lines, before=before, private=private)


def refused_payload(request: HistoryRequest, detail: str) -> bytes:
    """The reply to a request that is not answered with lines."""
    return strict_json.dumps({"command": HISTORY, "ok": False, "detail": detail, "transaction": request.transaction})


def line_fields(entry: HistoryEntry, *, private: bool) -> dict[str, Any]:
    """One line of the reply. Values that are not known are absent."""
    data = entry.data if isinstance(entry.data, dict) else {}
    found = {
        "id": entry.id[:_MAX_ID_CHARS],
        "status": _status(entry),
        "accepted_ts": None if entry.outcome is Outcome.REJECTED else _text(entry.ts),
        "started_ts": entry.heard_at,
        "ended_ts": _utc(entry.ended_wall_s),
        "text": None if private else event_text(_sent_text(entry)),
        "author": None if private else entry.author,
        "priority": entry.priority.name.lower(),
        "reason": _text(data.get("reason")),
        "detail": None if private and entry.outcome in _QUOTING else _detail(data),
        "engine": _text(data.get("engine")),
        "voice": _text(data.get("voice")) or entry.voice,
        **{name: _number(data.get(name)) for name in _NUMBERS},
        **{name: data[name] if isinstance(data.get(name), bool) else None for name in _TRUTH_VALUES},
    }
    return {name: value for name, value in found.items() if value is not None}


def _reply(request: HistoryRequest, lines: list[bytes], *, before: int | None, private: bool) -> bytes:
    head = strict_json.dumps({"command": HISTORY, "transaction": request.transaction})
    tail = strict_json.dumps({"next": None if before is None else str(before), "private": private})
    return head[:-1] + b',"lines":[' + b",".join(lines) + b"]," + tail[1:]


def _status(entry: HistoryEntry) -> str:
    if entry.outcome is not None:
        return entry.outcome.value
    if entry.speaking:
        return "speaking"
    return "waiting" if entry.heard_at is None else "interrupted"


def _sent_text(entry: HistoryEntry) -> str:
    """The text as it was sent. Of a payload that is no line, its `text`, or the payload itself."""
    sent = entry.text if entry.sent_text is None else entry.sent_text
    if entry.outcome is not Outcome.REJECTED or not sent.startswith("{"):
        return sent
    try:
        text = json.loads(sent).get("text")
    except (ValueError, AttributeError, RecursionError):
        return sent
    return text if isinstance(text, str) and text else sent


def _text(value: Any) -> str | None:
    return event_text(value) if isinstance(value, str) else None


def _detail(data: dict[str, Any]) -> str | None:
    return next((text for name in _REASONS if (text := _text(data.get(name))) is not None), None)


def _number(value: Any) -> float | int | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if usable else None


def _utc(wall_s: float | None) -> str | None:
    try:
        return None if wall_s is None else timestamp(wall_s)
    except (ValueError, OverflowError, OSError):
        return None

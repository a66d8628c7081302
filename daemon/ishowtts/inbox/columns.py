"""Converts lines and events to the columns of the tables and back."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from ishowtts.limits import LANGUAGE_TAG, LANGUAGE_TAG_CHARS, NFE_STEP, SEED, SENT_CHARS, SPEED, VOLUME
from ishowtts.model import Event, Line, Outcome, Priority, Rejection, ReplyTo

WAITING = "waiting"
SPEAKING = "speaking"

UNREADABLE = "what is stored of it cannot be read"
_TOPIC = r"[^+#\x00-\x1f\x7f]{1,512}"
_MOST_CORRELATION_BYTES = 65_535  # the longest binary data in MQTT


class UnreadableRow(ValueError):
    """A stored row does not hold what it should, for example because bits of it have changed."""


def _number(low: float, high: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LANGUAGE_TAG_CHARS and LANGUAGE_TAG.fullmatch(value) is not None


# The fields of a line that have no column of their own, and their allowed values. An engine must get nothing else.
_DETAILS: Mapping[str, Callable[[Any], bool]] = {
    "speed": _number(*SPEED),
    "nfe_step": _whole(*NFE_STEP),
    "volume": _whole(*VOLUME),
    "chime": lambda value: isinstance(value, (bool, str)),
    "author": lambda value: isinstance(value, str),
    "seed": _whole(*SEED),
    "language": _is_language,
    "ttl_s": _number(0.0),
    "bare_text": lambda value: isinstance(value, str),
}


def storable(text: str) -> str:
    """Text without lone surrogates, which UTF-8 and so SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def cut(text: str) -> str:
    """The head of a text that only the history needs: enough to recognise it."""
    return text if len(text) <= SENT_CHARS else f"{text[:SENT_CHARS]}… (cut; it has {len(text)} characters)"


def event_text(text: str) -> str:
    """The head of a text, as events have it."""
    return text if len(text) <= SENT_CHARS else f"{text[:SENT_CHARS]}…"


def arrival_words(what: Line | Rejection) -> dict[str, str]:
    """The fields `text` and `author` of an event: as the publisher sent them, if they could be read."""
    line = what.line if isinstance(what, Rejection) else what
    if line is not None:
        return _words(line.text if line.sent_text is None else line.sent_text, line.author)
    return _words(what.text, what.author) if isinstance(what, Rejection) else {}


def row_words(row: sqlite3.Row) -> dict[str, str]:
    """The same for a row of `lines`."""
    return _words(row["text"] if row["sent_text"] is None else row["sent_text"], row_author(row))


def row_author(row: sqlite3.Row) -> str | None:
    """The author of a row of `lines`; `None` if it has none that can be read."""
    author = _readable_object(row["details"]).get("author")
    return author if isinstance(author, str) else None


def row_final_data(row: sqlite3.Row) -> dict[str, Any]:
    """The data of the final event of a row of `lines`; empty if they cannot be read."""
    return _readable_object(row["data"])


def _readable_object(stored: Any) -> dict[str, Any]:
    try:
        return json_object(stored)
    except UnreadableRow:
        return {}


def _words(text: Any, author: Any) -> dict[str, str]:
    words = {"text": event_text(text) if isinstance(text, str) else None, "author": author}
    return {name: value for name, value in words.items() if isinstance(value, str)}


def line_columns(line: Line) -> dict[str, Any]:
    """The columns of `lines` that hold a line."""
    details = {name: value for name in _DETAILS if (value := getattr(line, name)) is not None}
    return {
        "id": storable(line.id),
        "text": storable(line.text),
        "voice": None if line.voice is None else storable(line.voice),
        "priority": int(line.priority),
        "details": json.dumps(details),
        "sent_text": None if line.sent_text is None else storable(cut(line.sent_text)),
        **reply_columns(line.reply_to),
    }


def reply_columns(reply_to: ReplyTo | None) -> dict[str, Any]:
    """The columns that hold a reply topic."""
    if reply_to is None:
        return {"reply_topic": None, "reply_correlation": None}
    return {"reply_topic": storable(reply_to.topic), "reply_correlation": reply_to.correlation}


def row_reply(row: sqlite3.Row) -> ReplyTo | None:
    """The reply topic of a row; `None` if it has none that could be published to."""
    topic, correlation = row["reply_topic"], row["reply_correlation"]
    if not isinstance(topic, str) or not re.fullmatch(_TOPIC, topic):
        return None
    fits = isinstance(correlation, bytes) and len(correlation) <= _MOST_CORRELATION_BYTES
    return ReplyTo(topic, correlation if fits else None)


def row_line(row: sqlite3.Row) -> Line:
    """The line of a row of `lines`.

    Raises:
        UnreadableRow: It does not hold a line.
    """
    details = json_object(row["details"])
    for name, value in details.items():
        if name not in _DETAILS or not _DETAILS[name](value):
            raise UnreadableRow(f"its {name} is {str(value)[:40]!r}")
    try:
        priority = Priority(row["priority"])
    except ValueError as error:
        raise UnreadableRow(str(error)) from error
    for name in ("id", "text"):
        if not isinstance(row[name], str):
            raise UnreadableRow(f"its {name} is not a text")
    if not isinstance(row["voice"], (str, type(None))):
        raise UnreadableRow("its voice is not a text")
    sent_text = row["sent_text"] if isinstance(row["sent_text"], str) else None
    return Line(row["id"], row["text"], row["voice"], priority, reply_to=row_reply(row), sent_text=sent_text, **details)


def row_outcome(row: sqlite3.Row) -> Outcome | None:
    """The final outcome of a row of `lines`; `None` if the line is open. An unknown outcome counts as failed."""
    if row["state"] in (WAITING, SPEAKING):
        return None
    try:
        return Outcome(row["state"])
    except ValueError:
        return Outcome.FAILED


def row_event(row: sqlite3.Row) -> Event:
    """The event of a row of `outbox`.

    Raises:
        UnreadableRow: It does not hold an event that could be published.
    """
    for name in ("ts", "id", "event"):
        if not isinstance(row[name], str):
            raise UnreadableRow(f"its {name} is not a text")
    return Event(row["ts"], row["id"], row["event"], json_object(row["data"]), row_reply(row))


def json_object(stored: Any) -> dict[str, Any]:
    """The JSON object in a column, if it can be written as JSON again.

    Raises:
        UnreadableRow: It cannot be read.
    """
    try:
        found = json.loads(stored)
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnreadableRow(f"its JSON is broken: {error}") from error
    if not isinstance(found, dict):
        raise UnreadableRow("its JSON is not an object")
    return found

"""Values to columns and back."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import Any

from ishowtts.inbox.values import HistoryEntry
from ishowtts.speech import Event, Line, Outcome, Priority, ReplyTo

WAITING = "waiting"
SPEAKING = "speaking"

# All of a line that has no column of its own.
_DETAILS = ("speed", "nfe_step", "volume", "chime", "author", "seed", "ttl_s")


def storable(text: str) -> str:
    """Text without lone surrogates, which UTF-8 and so SQLite cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def line_columns(line: Line) -> dict[str, Any]:
    """The columns of `lines` that hold a line."""
    details = {name: value for name in _DETAILS if (value := getattr(line, name)) is not None}
    return {
        "id": storable(line.id),
        "text": storable(line.text),
        "voice": None if line.voice is None else storable(line.voice),
        "priority": int(line.priority),
        "details": json.dumps(details),
        **reply_columns(line.reply_to),
    }


def reply_columns(reply_to: ReplyTo | None) -> dict[str, Any]:
    """The columns that hold a reply topic."""
    if reply_to is None:
        return {"reply_topic": None, "reply_correlation": None}
    return {"reply_topic": storable(reply_to.topic), "reply_correlation": reply_to.correlation}


def row_reply(row: sqlite3.Row) -> ReplyTo | None:
    """The reply topic of a row, if it has one."""
    return None if row["reply_topic"] is None else ReplyTo(row["reply_topic"], row["reply_correlation"])


def row_line(row: sqlite3.Row) -> Line:
    """The line of a row of `lines`."""
    line = Line(row["id"], row["text"], row["voice"], Priority(row["priority"]), reply_to=row_reply(row))
    return replace(line, **json.loads(row["details"]))


def row_outcome(row: sqlite3.Row) -> Outcome | None:
    """The final outcome of a row of `lines`, or `None` where it is still to come."""
    return None if row["state"] in (WAITING, SPEAKING) else Outcome(row["state"])


def row_event(row: sqlite3.Row) -> Event:
    """The event of a row of `outbox`."""
    return Event(row["ts"], row["id"], row["event"], json.loads(row["data"]), row_reply(row))


def row_history(row: sqlite3.Row) -> HistoryEntry:
    """The history entry of a row of `lines`."""
    return HistoryEntry(
        row["id"],
        row["text"],
        row["ts"],
        row_outcome(row),
        json.loads(row["data"]),
        Priority(row["priority"]),
        row["voice"],
    )

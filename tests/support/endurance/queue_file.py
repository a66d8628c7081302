"""Reads the queue's file beside the daemon, and finds what a killed broker has lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from support.appliance import FINAL
from support.broker import Broker
from support.publisher import Publisher

_SAVED_WITHIN_S = 1.0  # a broker saves after every round of its loop; on a busy machine a round takes a while

Row = dict[str, str]
"""A line in the queue's file: `id`, `text` and `state`."""


def rows_of(folder: Path) -> list[Row]:
    """All lines in the queue's file, in the order of their arrival."""
    with closing(sqlite3.connect(folder / "state" / "inbox.sqlite", timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT id, text, state FROM lines ORDER BY seq")]


def open_texts(rows: Sequence[Row]) -> list[str]:
    """The texts of lines that have no outcome yet."""
    return [row["text"] for row in rows if row["state"] not in FINAL]


def lost_with_broker(
    folder: Path, broker: Broker, publisher: Publisher, killed_s: float, texts: Mapping[int, str]
) -> set[int]:
    """The lines that a broker took with it when it was killed: confirmed just before, and neither saved nor passed on.

    Args:
        texts: The text of each line, by its number.
    """
    # What the daemon had received is in its file by now, also where it could not say so any more.
    saved = broker.database.read_bytes()
    known = "\n".join(row["text"] for row in rows_of(folder))
    return {
        number
        for number, at_s in list(publisher.published_at.items())
        if killed_s - _SAVED_WITHIN_S < at_s <= killed_s
        and texts[number] not in known
        and texts[number].encode() not in saved
    }

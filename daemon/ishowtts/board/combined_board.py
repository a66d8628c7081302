"""Combines several sources of readings into one board, field by field."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from ishowtts.board import BoardIdentity, BoardReading, SensorSource

_FIELDS = tuple(field.name for field in fields(BoardReading))


class CombinedBoard:
    """A board whose readings come from several sources: for each field the first source that has a value.

    Not thread-safe: one thread calls `read` and `sources`.

    Args:
        identify: Returns model, JetPack and serial number.
        sources: The best source first.
    """

    def __init__(self, identify: Callable[[], BoardIdentity], sources: Sequence[SensorSource]) -> None:
        self._identify = identify
        self._sources = tuple(sources)
        self._source_of: Mapping[str, str] = {}

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number."""
        return self._identify()

    def start(self) -> None:
        """Starts the sources. Returns at once."""
        for source in self._sources:
            source.start()

    def read(self) -> BoardReading:
        """Reads all sources now."""
        readings = [(source.name, source.read()) for source in self._sources]
        found = {
            field: (name, value)
            for name, reading in reversed(readings)
            for field in _FIELDS
            if (value := getattr(reading, field)) is not None
        }
        self._source_of = {field: found[field][0] for field in _FIELDS if field in found}
        return BoardReading(**{field: value for field, (_, value) in found.items()})

    def sources(self) -> Mapping[str, str]:
        """Returns the source of each field that has a value, as of the last reading."""
        return self._source_of

    def close(self, timeout_s: float) -> None:
        """Ends the sources within a time that they share."""
        ends_s = time.monotonic() + timeout_s
        for source in self._sources:
            source.close(max(0.0, ends_s - time.monotonic()))

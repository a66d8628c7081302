"""Combines several sources of readings into one board, field by field."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

from ishowtts.board import BoardIdentity, BoardReading, SensorSource

# Fields that belong together: they must come from one source. A clock of one with the limit of another means nothing.
_TOGETHER = (("gpu_clock_mhz", "gpu_clock_max_mhz", "gpu_clock_locked"), ("memory_used_mb", "memory_total_mb"))
_ALONE = tuple((field.name,) for field in fields(BoardReading) if not any(field.name in group for group in _TOGETHER))
_LOAD = ("gpu_load_pct",)


@dataclass
class _Group:
    """Fields that come from one source.

    Attributes:
        names: The fields.
        source: Index of the source that gave them last.
        proven: The sources that have shown a load above 0.
    """

    names: tuple[str, ...]
    source: int | None
    proven: set[int]


class CombinedBoard:
    """A board whose readings come from several sources. For each field, the best source is chosen:

    - The first source that has a value, in the given order.
    - A source keeps a field that it gave once, as long as it answers at all. If its sensor is powered off, the field is
      unknown: another source would invent a value. NVML answers 0 for much that an Orin does not have.
    - A GPU load that was never above 0 is not believed if another source shows one: NVML says 0 early at boot, and
      jetson-stats says 0 for a load that it does not know.
    - The clock, its maximum and its lock come from one source, and so do used and total memory.

    Not thread-safe, except `sources`: one thread calls `read`.

    Args:
        identify: Returns model, JetPack and serial number.
        sources: The best source first.
    """

    def __init__(self, identify: Callable[[], BoardIdentity], sources: Sequence[SensorSource]) -> None:
        self._identify = identify
        self._sources = tuple(sources)
        self._groups = [_Group(names, None, set()) for names in (*_TOGETHER, *_ALONE)]
        self._source_of: Mapping[str, str] = {}

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number."""
        return self._identify()

    def start(self) -> None:
        """Starts the sources, and reads those that answer at once, so that `sources` knows them. Returns at once."""
        for source in self._sources:
            source.start()
        self.read()

    def read(self) -> BoardReading:
        """Reads all sources now."""
        readings = [source.read() for source in self._sources]
        answering = [reading != BoardReading() for reading in readings]
        found = {}
        source_of = dict(self._source_of)
        for group in self._groups:
            source = _choose(group, readings, answering)
            if source is None:
                continue
            group.source = source
            for name in group.names:
                if (value := getattr(readings[source], name)) is not None:
                    found[name] = value
                    source_of[name] = self._sources[source].name
        if source_of != self._source_of:
            self._source_of = source_of
        return BoardReading(**found)

    def sources(self) -> Mapping[str, str]:
        """Returns the source of each field, as of the last reading in which it had a value."""
        return self._source_of

    def close(self, timeout_s: float) -> None:
        """Ends the sources within a time that they share."""
        ends_s = time.monotonic() + timeout_s
        for source in self._sources:
            source.close(max(0.0, ends_s - time.monotonic()))


def _choose(group: _Group, readings: Sequence[BoardReading], answering: Sequence[bool]) -> int | None:
    """Returns the index of the source for these fields; `None` if they are unknown."""
    known = [
        index
        for index, reading in enumerate(readings)
        if any(getattr(reading, name) is not None for name in group.names)
    ]
    if group.names == _LOAD:
        group.proven |= {index for index in known if (readings[index].gpu_load_pct or 0) > 0}
    ranked = sorted(known, key=lambda index: _rank(group, index))
    best = ranked[0] if ranked else None
    kept = group.source
    if best is None or kept is None or not answering[kept]:
        return best
    return best if best == kept or _rank(group, best) < _rank(group, kept) else None


def _rank(group: _Group, index: int) -> tuple[bool, int]:
    """The lower, the better. Only the group of the load has proven sources."""
    return (bool(group.proven) and index not in group.proven, index)

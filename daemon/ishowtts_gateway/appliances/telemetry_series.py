"""Keeps the telemetry of the last hour in memory, as columns for charts."""

from __future__ import annotations

import math
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from ishowtts_gateway.appliances.published_value import number

KEPT_S = 3600.0
_MAX_POINTS = 1800
_MIN_INTERVAL_S = KEPT_S / _MAX_POINTS

_SOURCES: Mapping[str, tuple[str, str]] = {
    "gpu_mhz": ("gpu", "clock_mhz"),
    "gpu_max_mhz": ("gpu", "clock_max_mhz"),
    "gpu_c": ("gpu", "temp_c"),
    "cpu_c": ("cpu", "temp_c"),
    "gpu_load_pct": ("gpu", "load_pct"),
    "cpu_load_pct": ("cpu", "load_pct"),
    "power_w": ("board", "power_w"),
    "queue_depth": ("speech", "queue_depth"),
    "memory_used_mb": ("memory", "used_mb"),
}
"""Each column, and the part and the field of `telemetry` that it shows."""

COLUMNS = ("t", *_SOURCES)

# As bytes, an hour of 720 points takes 90 kB, and as tuples of numbers 300 kB; there may be 200 appliances.
_POINT = struct.Struct(f"{len(COLUMNS)}d")


class TelemetrySeries:
    """A ring of points, each with the value of every column. An unknown value is `None`.

    The time of a point is that of its arrival: the clock of a board without a battery may be years off. If the clock of
    this machine jumps, all points move with it.

    Args:
        monotonic_s, wall_s: Clocks.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._points: deque[bytes] = deque(maxlen=_MAX_POINTS)
        self._before_last_s = -math.inf  # when the last but one point came

    def add(self, telemetry: Mapping[str, Any]) -> dict[str, float | None]:
        """Add a message of `telemetry`. Returns its point: the value of each column, with the time `t`.

        Only one message in 2 s is kept, so that a flood does not displace the hour. The newest is always kept.
        """
        now_s = self._monotonic_s()
        values = [_reading(telemetry, part, field) for part, field in _SOURCES.values()]
        if self._points:
            last_s = _POINT.unpack(self._points[-1])[0]
            if last_s - self._before_last_s < _MIN_INTERVAL_S:
                self._points.pop()
            else:
                self._before_last_s = last_s
        self._points.append(_POINT.pack(now_s, *(math.nan if value is None else value for value in values)))
        return dict(zip(COLUMNS, (round(self._wall_s(), 3), *values), strict=True))

    def points(self, newest_s: float = KEPT_S) -> list[list[float | None]]:
        """The points of the last hour, oldest first: the values in the order of `COLUMNS`.

        Args:
            newest_s: Leave out points that are older.
        """
        now_s = self._monotonic_s()
        while self._points and now_s - _POINT.unpack(self._points[0])[0] > KEPT_S:
            self._points.popleft()
        offset_s = self._wall_s() - now_s
        unpacked = map(_POINT.unpack, reversed(self._points))
        newest = takewhile(lambda point: now_s - point[0] <= newest_s, unpacked)
        return [[round(at_s + offset_s, 3), *map(_as_json, values)] for at_s, *values in newest][::-1]


def _reading(telemetry: Mapping[str, Any], part: str, field: str) -> float | None:
    values = telemetry.get(part)
    return number(values.get(field)) if isinstance(values, dict) else None


def _as_json(value: float) -> float | None:
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value

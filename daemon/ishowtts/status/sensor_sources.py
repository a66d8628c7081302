"""Publishes `info` again after the source of a reading has changed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

_INTERVAL_S = 30.0


class SensorSources:
    """Composes telemetry, which reads the sensors, and then looks whether their sources are still those of `info`.

    NVML is late at boot, and the child process of jetson-stats takes seconds: their fields come after the first `info`.
    A source that comes and goes makes `info` change every 30 s at most.

    Args:
        compose: Composes the telemetry payload.
        sources: Returns the source of each reading.
        publish_info: Publishes `info`.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        compose: Callable[[], dict[str, Any]],
        sources: Callable[[], Mapping[str, str]],
        publish_info: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compose = compose
        self._sources = sources
        self._publish_info = publish_info
        self._clock = clock
        self._published: Mapping[str, str] | None = None
        self._published_at_s = -math.inf

    def compose(self) -> dict[str, Any]:
        """Returns the telemetry payload. Publishes `info` if it is due."""
        if self._published is None:
            self._published = self._sources()  # those of the first `info`
        telemetry = self._compose()
        sources, now_s = self._sources(), self._clock()
        if sources != self._published and now_s - self._published_at_s >= _INTERVAL_S:
            self._published, self._published_at_s = sources, now_s
            self._publish_info()
        return telemetry

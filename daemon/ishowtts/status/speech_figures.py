"""Figures of the lines that were spoken: counts since the start, and rates and percentiles over the last lines."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ishowtts.model import EngineShare, Outcome, Report

WINDOW_LINES = 100
"""Rates and percentiles are of so many lines, at most."""
RECENT_LINES = 20
"""`recent_rtf` is of so many lines, at most: few, so that it soon shows that an engine has become slower or faster."""
_MINUTE_S = 60


@dataclass(frozen=True)
class RecentRtf:
    """The real-time factor of the last lines that an engine synthesised.

    Attributes:
        median: Median of the lines.
        lines: How many lines it is of, 1 to 20.
    """

    median: float
    lines: int


class SpeechFigures:
    """Counts lines since the start, and measures the last 100. Any thread may call any method.

    Args:
        now_s: Clock that never jumps, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._rtf: deque[float] = deque(maxlen=WINDOW_LINES)
        self._ttfa_s: deque[float] = deque(maxlen=WINDOW_LINES)
        self._cached: deque[bool] = deque(maxlen=WINDOW_LINES)
        self._failed: deque[bool] = deque(maxlen=WINDOW_LINES)
        self._last_minute = _LastMinute(now_s)
        self._engines: dict[str, _EngineFigures] = {}
        self._outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self._audio_s = 0.0
        self._cache_hits = 0

    def record(self, report: Report) -> None:
        """Add the report of a line that was heard to its end."""
        with self._lock:
            if report.rtf is not None and not report.cached:
                self._rtf.append(report.rtf)
            if report.ttfa_s is not None:
                self._ttfa_s.append(report.ttfa_s)
            self._cached.append(report.cached)
            self._last_minute.add()
            self._audio_s += report.audio_s
            self._cache_hits += report.cached
            for share in report.shares:
                self._engines.setdefault(share.engine, _EngineFigures()).add(share, self._now_s())

    def count(self, outcome: Outcome, lines: int = 1) -> None:
        """Count lines that ended with this outcome."""
        with self._lock:
            self._outcomes[outcome] += lines
            if outcome in (Outcome.FINISHED, Outcome.FAILED):
                self._failed.extend([outcome is Outcome.FAILED] * min(lines, WINDOW_LINES))

    def speech(self) -> dict[str, Any]:
        """The figures of all engines together, as `speech` of telemetry shows them."""
        with self._lock:
            return {
                "rtf": rounded(self._rtf[-1], 4) if self._rtf else None,
                "rtf_p50": rounded(percentile(self._rtf, 50), 4),
                "rtf_p95": rounded(percentile(self._rtf, 95), 4),
                "ttfa_s_p50": rounded(percentile(self._ttfa_s, 50), 3),
                "ttfa_s_p95": rounded(percentile(self._ttfa_s, 95), 3),
                "lines_total": sum(self._outcomes.values()),
                "lines_failed": self._outcomes[Outcome.FAILED],
                "lines_rejected": self._outcomes[Outcome.REJECTED],
                "lines_per_min": self._last_minute.count(),
                "error_rate": _share(self._failed),
                "audio_s_total": round(self._audio_s, 2),
                "cache_hits": self._cache_hits,
                "cache_hit_rate": _share(self._cached),
            }

    def engine(self, name: str) -> dict[str, Any]:
        """The figures of one engine, as an entry of `engines` of telemetry shows them."""
        with self._lock:
            figures = self._engines.get(name) or _EngineFigures()
            return {
                "rtf_p50": rounded(percentile(figures.rtf, 50), 4),
                "rtf_p95": rounded(percentile(figures.rtf, 95), 4),
                "ttfa_s_p50": rounded(percentile(figures.ttfa_s, 50), 3),
                "ttfa_s_p95": rounded(percentile(figures.ttfa_s, 95), 3),
            }

    def recent_rtf(self, engine: str, within_s: float) -> RecentRtf | None:
        """The real-time factor of the last lines of an engine; `None` if it has spoken none within this time."""
        with self._lock:
            figures = self._engines.get(engine)
            since_s = self._now_s() - within_s
            recent = [rtf for heard_at_s, rtf in figures.recent if heard_at_s >= since_s] if figures else []
        median = percentile(recent, 50)
        return None if median is None else RecentRtf(median, len(recent))


class _EngineFigures:
    """The last lines of one engine. Cached sound has no part in them."""

    def __init__(self) -> None:
        self.rtf: deque[float] = deque(maxlen=WINDOW_LINES)
        self.ttfa_s: deque[float] = deque(maxlen=WINDOW_LINES)
        self.recent: deque[tuple[float, float]] = deque(maxlen=RECENT_LINES)  # (when it was heard, real-time factor)

    def add(self, share: EngineShare, now_s: float) -> None:
        """Add what the engine did for one line."""
        if share.rtf is not None:
            self.rtf.append(share.rtf)
            self.recent.append((now_s, share.rtf))
        if share.ttfa_s is not None:
            self.ttfa_s.append(share.ttfa_s)


class _LastMinute:
    """Counts in the last 60 s, to the second: its size does not depend on how many there are."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._counts: deque[tuple[int, int]] = deque()  # (second, count), at most one entry for each second

    def add(self) -> None:
        """Count one now."""
        second = int(self._now_s())
        same = bool(self._counts) and self._counts[-1][0] == second
        before = self._counts.pop()[1] if same else 0
        self._counts.append((second, before + 1))
        self._forget(second)

    def count(self) -> int:
        """How many there were."""
        self._forget(int(self._now_s()))
        return sum(count for _, count in self._counts)

    def _forget(self, second: int) -> None:
        while self._counts and self._counts[0][0] <= second - _MINUTE_S:
            self._counts.popleft()


def percentile(values: Sequence[float] | deque[float], percent: float) -> float | None:
    """Percentile by nearest rank, so that it is a value that was measured; `None` without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def rounded(value: float | None, digits: int) -> float | None:
    """The value with so many decimals; `None` for what is not a finite number."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _share(marks: deque[bool]) -> float | None:
    """The share of the marks that are set, 0 to 1; `None` without marks."""
    return round(sum(marks) / len(marks), 4) if marks else None

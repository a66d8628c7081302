"""Collects board readings and line reports into the telemetry payload. It does not publish anything."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import psutil

from ishowtts.board import Board
from ishowtts.model import Outcome, Report, timestamp

_WINDOW = 100


class Telemetry:
    """Counts lines since the start, and computes percentiles over the last 100. Any thread may call any method."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._identity = board.identity()
        self._began_at = time.monotonic()
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._rtf: deque[float] = deque(maxlen=_WINDOW)
        self._ttfa_s: deque[float] = deque(maxlen=_WINDOW)
        self._outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self._audio_s = 0.0
        self._cache_hits = 0

    def record(self, report: Report) -> None:
        """Add the report of a line that was spoken."""
        with self._lock:
            if report.rtf is not None and not report.cached:
                self._rtf.append(report.rtf)
            if report.ttfa_s is not None:
                self._ttfa_s.append(report.ttfa_s)
            self._audio_s += report.audio_s
            self._cache_hits += report.cached

    def count(self, outcome: Outcome, lines: int = 1) -> None:
        """Count lines that ended with this outcome."""
        with self._lock:
            self._outcomes[outcome] += lines

    def snapshot(
        self,
        *,
        engine: dict[str, Any],
        engines: Sequence[dict[str, Any]],
        audio: dict[str, Any],
        mqtt: dict[str, Any],
        queue_depth: int,
        worker_pids: Sequence[int],
        gpu_mb: float | None = None,
    ) -> dict[str, Any]:
        """Compose the telemetry payload of the contract. `None` stands for what is unknown."""
        reading = self._board.read()
        return {
            "ts": timestamp(time.time()),
            "uptime_s": round(time.monotonic() - self._began_at, 1),
            "gpu": {
                "clock_mhz": _rounded(reading.gpu_clock_mhz, 1),
                "clock_max_mhz": _rounded(reading.gpu_clock_max_mhz, 1),
                "clock_locked": reading.gpu_clock_locked,
                "load_pct": _rounded(reading.gpu_load_pct, 1),
                "temp_c": _rounded(reading.gpu_temp_c, 1),
            },
            "cpu": {"load_pct": _rounded(reading.cpu_load_pct, 1), "temp_c": _rounded(reading.cpu_temp_c, 1)},
            "board": {
                "model": self._identity.model,
                "jetpack": self._identity.jetpack,
                "power_mode": reading.power_mode,
                "power_w": _rounded(reading.power_w, 1),
                "fan_pct": _rounded(reading.fan_pct, 1),
                "throttle_events": reading.throttle_events,
            },
            "memory": {
                "used_mb": _rounded(reading.memory_used_mb, 1),
                "total_mb": _rounded(reading.memory_total_mb, 1),
                "process_mb": _rss_mb(self._process),
                "worker_mb": _workers_mb(worker_pids),
                "gpu_mb": _rounded(gpu_mb, 1),
            },
            "speech": {**self._speech(), "queue_depth": queue_depth},
            "engine": engine,
            "engines": list(engines),
            "audio": audio,
            "mqtt": mqtt,
        }

    def _speech(self) -> dict[str, Any]:
        with self._lock:
            return {
                "rtf": _rounded(self._rtf[-1], 4) if self._rtf else None,
                "rtf_p50": _rounded(percentile(self._rtf, 50), 4),
                "rtf_p95": _rounded(percentile(self._rtf, 95), 4),
                "ttfa_s_p50": _rounded(percentile(self._ttfa_s, 50), 3),
                "lines_total": sum(self._outcomes.values()),
                "lines_failed": self._outcomes[Outcome.FAILED],
                "lines_rejected": self._outcomes[Outcome.REJECTED],
                "audio_s_total": round(self._audio_s, 2),
                "cache_hits": self._cache_hits,
            }


def percentile(values: Sequence[float] | deque[float], percent: float) -> float | None:
    """Percentile by nearest rank, so that it is a value that was measured; `None` without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _rss_mb(process: psutil.Process) -> float | None:
    try:
        # 0 is the size of a process that has ended and was not reaped yet.
        return round(process.memory_info().rss / 1e6, 1) or None
    except psutil.Error:
        return None


def _workers_mb(pids: Sequence[int]) -> float | None:
    """The memory of all workers together; `None` if there is none, or if one of them is not known."""
    sizes_mb = [_worker_mb(pid) for pid in pids]
    known_mb = [size for size in sizes_mb if size is not None]
    return round(sum(known_mb), 1) if known_mb and len(known_mb) == len(sizes_mb) else None


def _worker_mb(pid: int) -> float | None:
    try:
        return _rss_mb(psutil.Process(pid))
    except psutil.Error:
        return None

"""Collects board readings and line reports into the telemetry payload. It does not publish anything."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil

from ishowtts.board import Board, BoardReading
from ishowtts.model import Outcome, Report, timestamp
from ishowtts.status.speech_figures import RecentRtf, SpeechFigures, rounded


class Telemetry:
    """Reads the board, and collects the figures of lines. Any thread may call any method."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._identity = board.identity()
        self._began_at = time.monotonic()
        self._process = psutil.Process()
        self._figures = SpeechFigures()
        self._reading_lock = threading.Lock()
        self._reading = BoardReading()
        self._read_at = -math.inf
        self._throttle_events: int | None = None  # as of the last snapshot in which the board reported them

    def record(self, report: Report) -> None:
        """Add the report of a line that was heard to its end."""
        self._figures.record(report)

    def count(self, outcome: Outcome, lines: int = 1) -> None:
        """Count lines that ended with this outcome."""
        self._figures.count(outcome, lines)

    def recent_rtf(self, engine: str, within_s: float) -> RecentRtf | None:
        """The real-time factor of the last lines of an engine; `None` if it has spoken none within this time."""
        return self._figures.recent_rtf(engine, within_s)

    def reading(self, max_age_s: float = 0.0) -> BoardReading:
        """The readings of the board. A board is read by one thread at a time.

        Args:
            max_age_s: The last reading is returned if it is not older than this.
        """
        with self._reading_lock:
            if time.monotonic() - self._read_at >= max_age_s:
                self._reading = self._board.read()
                self._read_at = time.monotonic()
            return self._reading

    def snapshot(
        self,
        *,
        renders: dict[str, Any],
        engine: dict[str, Any],
        engines: Sequence[dict[str, Any]],
        audio: dict[str, Any],
        mqtt: dict[str, Any],
        queue_depth: int,
        worker_pids: Sequence[int],
        gpu_mb: float | None = None,
        gpu_graphs_mb: float | None = None,
    ) -> dict[str, Any]:
        """Compose the telemetry payload of the contract. `None` stands for what is unknown."""
        reading = self.reading()
        return {
            "ts": timestamp(time.time()),
            "uptime_s": round(time.monotonic() - self._began_at, 1),
            "gpu": {
                "clock_mhz": rounded(reading.gpu_clock_mhz, 1),
                "clock_max_mhz": rounded(reading.gpu_clock_max_mhz, 1),
                "clock_locked": reading.gpu_clock_locked,
                "load_pct": rounded(reading.gpu_load_pct, 1),
                "temp_c": rounded(reading.gpu_temp_c, 1),
            },
            "cpu": {"load_pct": rounded(reading.cpu_load_pct, 1), "temp_c": rounded(reading.cpu_temp_c, 1)},
            "board": {
                "model": self._identity.model,
                "jetpack": self._identity.jetpack,
                "power_mode": reading.power_mode,
                "power_w": rounded(reading.power_w, 1),
                "fan_pct": rounded(reading.fan_pct, 1),
                "throttle_events": reading.throttle_events,
                "throttle_events_new": self._new_throttle_events(reading.throttle_events),
                "throttled": reading.throttled,
            },
            "memory": {
                "used_mb": rounded(reading.memory_used_mb, 1),
                "total_mb": rounded(reading.memory_total_mb, 1),
                "process_mb": _rss_mb(self._process),
                "worker_mb": _workers_mb(worker_pids),
                "gpu_mb": rounded(gpu_mb, 1),
                "gpu_graphs_mb": rounded(gpu_graphs_mb, 1),
            },
            "speech": {**self._figures.speech(), "queue_depth": queue_depth},
            "renders": renders,
            "engine": engine,
            "engines": [{**each, **self._figures.engine(each["name"])} for each in engines],
            "audio": audio,
            "mqtt": mqtt,
        }

    def _new_throttle_events(self, events: int | None) -> int | None:
        """How often the board slowed down since the last snapshot; `None` if one of the two counts is unknown.

        A count that is lower than the last one began again at 0.
        """
        before = self._throttle_events
        if events is None:
            return None
        self._throttle_events = events
        if before is None:
            return None
        return events - before if events >= before else events


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

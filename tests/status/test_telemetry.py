"""The snapshot of the contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from ishowtts.board import BoardIdentity, BoardReading
from ishowtts.board.detect import detect_board
from ishowtts.model import EngineShare, Outcome, Report
from ishowtts.status.telemetry import Telemetry

THROTTLING = ("throttle_events", "throttle_events_new", "throttled")


class CountingBoard:
    """A board that reports these counts of throttle events, one at each reading."""

    def __init__(self, *counts: int | None) -> None:
        self._counts = list(counts)
        self.readings = 0

    def identity(self) -> BoardIdentity:
        return BoardIdentity()

    def start(self) -> None:
        """Nothing."""

    def read(self) -> BoardReading:
        self.readings += 1
        return BoardReading(throttle_events=self._counts.pop(0), throttled=False)

    def sources(self) -> dict[str, str]:
        return {}

    def close(self, timeout_s: float) -> None:
        """Nothing."""


def snapshot(telemetry: Telemetry, *worker_pids: int) -> dict[str, Any]:
    return telemetry.snapshot(
        renders={"active": 1, "rtf_p50": None},
        engine={"name": "f5"},
        engines=[{"name": "f5"}, {"name": "espeak"}],
        audio={"device": "silent"},
        mqtt={"connected": True},
        queue_depth=3,
        worker_pids=worker_pids,
    )


def report(rtf: float, audio_s: float = 2.0, ttfa_s: float | None = 0.5, cached: bool = False) -> Report:
    return Report(0.0, rtf * audio_s, audio_s, ttfa_s, "f5", "default", 7, cached)


@pytest.fixture
def telemetry(tmp_path: Path) -> Telemetry:
    """Of a machine that has no sensors."""
    return Telemetry(detect_board("none", tmp_path))


def test_a_snapshot_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    told = snapshot(Telemetry(detect_board("simulated", tmp_path)))
    assert {part: list(fields) if isinstance(fields, dict) else None for part, fields in told.items()} == {
        "ts": None,
        "uptime_s": None,
        "gpu": ["clock_mhz", "clock_max_mhz", "clock_locked", "load_pct", "temp_c"],
        "cpu": ["load_pct", "temp_c"],
        "board": ["model", "jetpack", "power_mode", "power_w", "fan_pct", *THROTTLING],
        "memory": ["used_mb", "total_mb", "process_mb", "worker_mb", "gpu_mb", "gpu_graphs_mb"],
        "speech": [
            "rtf", "rtf_p50", "rtf_p95", "ttfa_s_p50", "ttfa_s_p95", "lines_total", "lines_failed", "lines_rejected",
            "lines_per_min", "error_rate", "audio_s_total", "cache_hits", "cache_hit_rate", "queue_depth",
        ],
        "renders": ["active", "rtf_p50"],
        "engine": ["name"],
        "engines": None,
        "audio": ["device"],
        "mqtt": ["connected"],
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["ts"])
    assert told["board"]["model"] == "simulated"
    assert told["speech"]["queue_depth"] == 3


def test_what_nobody_knows_is_null_before_the_first_line(telemetry: Telemetry) -> None:
    told = json.loads(json.dumps(snapshot(telemetry), allow_nan=False))
    assert set(told["gpu"].values()) | set(told["cpu"].values()) | set(told["board"].values()) == {None}
    assert told["memory"]["process_mb"] > 1
    assert told["memory"]["worker_mb"] is None
    assert told["speech"]["rtf"] is None
    assert told["speech"]["lines_total"] == 0


def test_throttle_events_are_those_since_the_last_message() -> None:
    telemetry = Telemetry(CountingBoard(3, 3, None, 5, 2, 2))
    new = [snapshot(telemetry)["board"]["throttle_events_new"] for _ in range(6)]
    # Unknown at first; what happened while the count was unknown is not lost; a lower count began again at 0.
    assert new == [None, 0, None, 2, 2, 0]


def test_the_board_is_read_once_for_all_who_ask_at_the_same_time() -> None:
    board = CountingBoard(3, 4, 5)
    telemetry = Telemetry(board)
    snapshot(telemetry)
    assert telemetry.reading(max_age_s=60).throttle_events == 3
    assert telemetry.reading().throttle_events == 4
    assert board.readings == 2


def test_each_engine_has_its_own_figures(telemetry: Telemetry) -> None:
    telemetry.record(Report(0.0, 0.5, 2.0, 0.3, "espeak", "", shares=(EngineShare("espeak", 0.5, 2.0, 0.3),)))
    f5, espeak = snapshot(telemetry)["engines"]
    assert f5 == {"name": "f5", "rtf_p50": None, "rtf_p95": None, "ttfa_s_p50": None, "ttfa_s_p95": None}
    assert espeak == {"name": "espeak", "rtf_p50": 0.25, "rtf_p95": 0.25, "ttfa_s_p50": 0.3, "ttfa_s_p95": 0.3}
    assert telemetry.recent_rtf("f5", 60) is None


def test_the_workers_memory_is_known_while_it_lives_and_only_then(telemetry: Telemetry) -> None:
    worker = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with worker:
        assert worker.stdin
        assert worker.stdout
        # Its echo says that it runs: right after exec a process has so few pages that they round to no megabyte at all.
        worker.stdin.write(b"up\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == b"up\n"
        living = snapshot(telemetry, worker.pid)["memory"]["worker_mb"]
        worker.kill()
        # Waits for its end without reaping it: a zombie has no memory, and 0 would be a made-up number.
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        dead = snapshot(telemetry, worker.pid)["memory"]["worker_mb"]
    gone = snapshot(telemetry, worker.pid)["memory"]["worker_mb"]
    assert living > 0
    assert (dead, gone) == (None, None)


def test_no_line_is_lost_between_threads(telemetry: Telemetry) -> None:
    def work() -> None:
        for _ in range(500):
            telemetry.count(Outcome.FINISHED)
            telemetry.record(report(rtf=0.1, cached=True))

    threads = [threading.Thread(target=work, name=f"lines-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        snapshot(telemetry)
    for thread in threads:
        thread.join(30)
    speech = snapshot(telemetry)["speech"]
    assert (speech["lines_total"], speech["cache_hits"], speech["audio_s_total"]) == (2000, 2000, 4000.0)

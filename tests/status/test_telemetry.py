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

from ishowtts.board.detect import detect_board
from ishowtts.model import Outcome, Report
from ishowtts.status.telemetry import Telemetry, percentile


def snapshot(telemetry: Telemetry, *worker_pids: int) -> dict[str, Any]:
    return telemetry.snapshot(
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
        "board": ["model", "jetpack", "power_mode", "power_w", "fan_pct", "throttle_events"],
        "memory": ["used_mb", "total_mb", "process_mb", "worker_mb", "gpu_mb"],
        "speech": [
            "rtf", "rtf_p50", "rtf_p95", "ttfa_s_p50", "lines_total", "lines_failed", "lines_rejected",
            "audio_s_total", "cache_hits", "queue_depth",
        ],
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
    assert [told["speech"][name] for name in ("rtf", "rtf_p50", "rtf_p95", "ttfa_s_p50")] == [None] * 4
    assert told["speech"]["lines_total"] == 0


def test_percentiles_are_of_the_last_hundred_lines_and_were_measured(telemetry: Telemetry) -> None:
    for _ in range(50):
        telemetry.record(report(rtf=9.0, ttfa_s=9.0))
    for number in range(100, 0, -1):
        telemetry.record(report(rtf=number / 100, ttfa_s=number / 10))
    speech = snapshot(telemetry)["speech"]
    assert (speech["rtf"], speech["rtf_p50"], speech["rtf_p95"], speech["ttfa_s_p50"]) == (0.01, 0.5, 0.95, 5.0)
    assert speech["audio_s_total"] == 300.0


def test_a_cached_or_silent_line_has_no_part_in_the_speed_of_synthesis(telemetry: Telemetry) -> None:
    telemetry.record(report(rtf=0.25))
    telemetry.record(report(rtf=0.0, cached=True))
    telemetry.record(report(rtf=0.0, audio_s=0.0, ttfa_s=None))
    speech = snapshot(telemetry)["speech"]
    assert (speech["rtf"], speech["rtf_p50"], speech["cache_hits"], speech["audio_s_total"]) == (0.25, 0.25, 1, 4.0)


def test_every_outcome_counts_as_a_line(telemetry: Telemetry) -> None:
    for outcome in [*Outcome, Outcome.FAILED, Outcome.REJECTED, Outcome.REJECTED]:
        telemetry.count(outcome)
    speech = snapshot(telemetry)["speech"]
    counted = (speech["lines_total"], speech["lines_failed"], speech["lines_rejected"])
    assert counted == (len(Outcome) + 3, 2, 3)


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 2.0), (75, 3.0), (95, 4.0), (100, 4.0)])
def test_a_percentile_is_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


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

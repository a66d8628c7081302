"""What `ishowtts doctor` says about NVML and jetson-stats."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from ishowtts.board import jetson_stats, nvml
from ishowtts.cli.doctor.sensor_parts import examine_sensors
from ishowtts.cli.findings import Finding
from ishowtts.config import Config


def examined(**board: object) -> list[Finding]:
    threads = set(threading.enumerate())
    findings = list(examine_sensors(Config.model_validate({"board": board})))
    left = {thread.name for thread in set(threading.enumerate()) - threads if not thread.daemon}
    assert not left
    return findings


def test_a_machine_without_nvml_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "child_command", lambda: ["sh", "-c", 'echo \'{"missing": "no driver"}\''])
    assert examined() == []
    assert examined(source="simulated") == []


ANSWER = json.dumps({"gpu_load_pct": 37, "gpu_clock_mhz": 1410, "gpu_temp_c": 61, "power_w": 214.5})
FAILURE = json.dumps({"error": "the driver says no"})


@pytest.mark.parametrize(
    ("script", "verdict", "detail"),
    [
        (f"echo '{ANSWER}'; sleep 20", "ok", "GPU load 37 %, GPU clock 1410 MHz, GPU 61 °C, power 214.5 W"),
        (f"echo '{FAILURE}'", "note", "the driver says no; telemetry has no values from it"),
        (
            "kill -ABRT $$",
            "note",
            f"{nvml._CALLER} was ended by SIGABRT; telemetry has no values from it",
        ),
        ("sleep 20", "note", "it does not answer within 0.1 s; telemetry has no values from it"),
    ],
)
def test_nvml_has_a_row(monkeypatch: pytest.MonkeyPatch, script: str, verdict: str, detail: str) -> None:
    monkeypatch.setattr(nvml, "child_command", lambda: ["sh", "-c", script])
    monkeypatch.setattr(nvml, "_CLOSE_S", 0.05)
    if script == "sleep 20":
        monkeypatch.setattr("ishowtts.cli.doctor.sensor_parts._NVML_S", 0.1)
    [found] = examined()
    assert (found.part, found.verdict, found.detail) == ("NVML", verdict, detail)


def test_jetson_stats_has_a_row_if_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "child_command", lambda: ["sh", "-c", 'echo \'{"missing": "no driver"}\''])
    line = json.dumps({"gpu_load_pct": 42.3, "gpu_temp_c": 51.25})
    monkeypatch.setattr(jetson_stats, "child_command", lambda: ["sh", "-c", f"echo '{line}'; sleep 20"])
    [found] = examined(jetson_stats=True)
    assert (found.part, found.verdict) == ("jetson-stats", "ok")
    assert found.detail.startswith("GPU load 42.3 %, GPU 51.25 °C")
    monkeypatch.setattr(jetson_stats, "child_command", lambda: [sys.executable, str(Path("/nowhere"))])
    [found] = examined(jetson_stats=True)
    assert (found.verdict, found.detail) == (
        "note",
        "its process ended without saying why; telemetry has no values from it",
    )


def test_a_setting_without_effect_is_named(tmp_path: Path) -> None:
    for board in ({"source": "sysfs"}, {"sysfs_root": str(tmp_path)}):
        [found] = examined(jetson_stats=True, **board)
        assert (found.part, found.verdict) == ("jetson-stats", "note")
        assert "only with board.source: auto" in found.detail

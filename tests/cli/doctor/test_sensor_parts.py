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
    monkeypatch.setattr(nvml, "_LIBRARY", "libnvidia-ml-of-no-driver.so.1")
    assert examined() == []
    assert examined(source="simulated") == []


class Driver:
    """Takes the place of the GPU: answers, fails, or hangs."""

    def __init__(self, fault: str | None, ended: threading.Event) -> None:
        if fault == "hang":
            ended.wait(20)
        elif fault:
            raise nvml._NvmlFailed(fault)

    def read(self) -> nvml.BoardReading:
        return nvml.BoardReading(gpu_load_pct=37, gpu_clock_mhz=1410, gpu_temp_c=61, power_w=214.5)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("fault", "verdict", "detail"),
    [
        (None, "ok", "GPU load 37 %, GPU clock 1410 MHz, GPU 61 °C, power 214.5 W"),
        ("the driver says no", "note", "the driver says no; telemetry has no values from it"),
        ("hang", "note", "it does not answer within 0.1 s; telemetry has no values from it"),
    ],
)
def test_nvml_has_a_row(monkeypatch: pytest.MonkeyPatch, fault: str | None, verdict: str, detail: str) -> None:
    ended = threading.Event()
    monkeypatch.setattr(nvml, "_Gpu", lambda: Driver(fault, ended))
    monkeypatch.setattr(nvml, "_CLOSE_S", 0.05)
    if fault == "hang":
        monkeypatch.setattr("ishowtts.cli.doctor.sensor_parts._NVML_S", 0.1)
    try:
        [found] = examined()
    finally:
        ended.set()
    assert (found.part, found.verdict, found.detail) == ("NVML", verdict, detail)


def test_jetson_stats_has_a_row_if_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_LIBRARY", "libnvidia-ml-of-no-driver.so.1")
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

"""Examines the sources of readings besides sysfs: NVML, and jetson-stats if it is configured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ishowtts.board import BoardReading
from ishowtts.cli.findings import Finding
from ishowtts.config import Config

if TYPE_CHECKING:
    from ishowtts.board.jetson_stats import JetsonStatsSensors
    from ishowtts.board.nvml import NvmlSensors

_NVML_S = 5.0  # a driver that is ready answers within 0.2 s, and a busy board starts the process that asks within 2 s
_JETSON_STATS_S = 12.0  # a child that does not answer is killed after 10 s; the first reading takes 1 s
_POLL_S = 0.02
_SHOWN = (
    ("gpu_load_pct", "GPU load", "%"),
    ("gpu_clock_mhz", "GPU clock", "MHz"),
    ("gpu_temp_c", "GPU", "°C"),
    ("power_w", "power", "W"),
)


def examine_sensors(settings: Config) -> Iterator[Finding]:
    """Describe what NVML and jetson-stats say now. Nothing is said about an NVML that this machine does not have."""
    from ishowtts.board.detect import SYSFS

    if settings.board.source == "auto" and settings.board.sysfs_root == SYSFS:
        yield from _examine_nvml()
        if settings.board.jetson_stats:
            yield from _examine_jetson_stats()
    elif settings.board.jetson_stats:
        detail = "board.jetson_stats is true, but it is used only with board.source: auto and board.sysfs_root: /sys"
        yield Finding("jetson-stats", "note", detail, "set these two keys, or set board.jetson_stats: false")


def _examine_nvml() -> Iterator[Finding]:
    from ishowtts.board.nvml import NvmlSensors

    sensors = NvmlSensors()
    reading = _first_reading(sensors, _NVML_S)
    if sensors.absent:
        return
    if reading != BoardReading():
        yield Finding("NVML", "ok", _described(reading))
    else:
        problem = sensors.problem or f"it does not answer within {_NVML_S:g} s"
        yield Finding("NVML", "note", f"{problem}; telemetry has no values from it", "look at dmesg for GPU errors")


def _examine_jetson_stats() -> Iterator[Finding]:
    from ishowtts.board.jetson_stats import JetsonStatsSensors

    sensors = JetsonStatsSensors()
    reading = _first_reading(sensors, _JETSON_STATS_S)
    if reading != BoardReading():
        asked = " (asked as root; the service needs the group jtop: docs/security.md)" if os.geteuid() == 0 else ""
        yield Finding("jetson-stats", "ok", f"{_described(reading)}{asked}")
        return
    problem = sensors.problem or "its service has no values"
    fix = "systemctl status jtop; docs/security.md says how the service gets access, and what that costs"
    yield Finding("jetson-stats", "note", f"{problem}; telemetry has no values from it", fix)


def _first_reading(sensors: NvmlSensors | JetsonStatsSensors, within_s: float) -> BoardReading:
    """Start a source, wait for its first reading or its first problem, and end it."""
    ends_s = time.monotonic() + within_s
    sensors.start()
    try:
        while True:
            reading = sensors.read()
            if reading != BoardReading() or sensors.problem is not None or time.monotonic() > ends_s:
                return reading
            time.sleep(_POLL_S)
    finally:
        sensors.close(1.0)


def _described(reading: BoardReading) -> str:
    """Return the main values in words."""
    known = ((title, getattr(reading, field), unit) for field, title, unit in _SHOWN)
    return ", ".join(f"{title} {value:.4g} {unit}" for title, value, unit in known if value is not None) or "answers"

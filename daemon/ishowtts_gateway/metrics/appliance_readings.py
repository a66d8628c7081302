"""Lists the gauges of an appliance, and reads their values from its newest messages. An unknown value is absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ishowtts.limits import VOLUME
from ishowtts.model import AlertName
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.appliances.line_log import epoch_s
from ishowtts_gateway.appliances.published_value import number
from ishowtts_gateway.metrics.appliance_counts import engine_label, field

STATES = ("starting", "warming", "ready", "speaking", "paused", "degraded")
_PERCENT = 0.01
_MHZ = 1e6
_MB = 1e6
_MAX_ENGINES = 8


@dataclass(frozen=True)
class Gauge:
    """A gauge of `/metrics`.

    Attributes:
        name: Its name, with the base unit at its end.
        help: What it means.
        labels: Names of its labels after `device`.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class TelemetryGauge:
    """A gauge that shows one value of `telemetry`: a number, or a truth value as 1 or 0.

    Attributes:
        path: Where the value is in `telemetry`.
        scale: What makes its unit the base unit.
        sensor: Its label `sensor`, if it has one.
    """

    gauge: Gauge
    path: tuple[str, ...]
    scale: float = 1.0
    sensor: str | None = None


TEMPERATURE = Gauge("ishowtts_temperature_celsius", "Temperature of a part of the board.", ("sensor",))
LOAD = Gauge("ishowtts_load_ratio", "Share of the time in which a part of the board worked.", ("sensor",))

TELEMETRY_GAUGES = (
    TelemetryGauge(Gauge("ishowtts_uptime_seconds", "Time since the daemon started."), ("uptime_s",)),
    TelemetryGauge(Gauge("ishowtts_gpu_clock_hertz", "Clock of the GPU now."), ("gpu", "clock_mhz"), _MHZ),
    TelemetryGauge(
        Gauge("ishowtts_gpu_clock_max_hertz", "Highest clock of the GPU that the power mode allows."),
        ("gpu", "clock_max_mhz"),
        _MHZ,
    ),
    TelemetryGauge(
        Gauge("ishowtts_gpu_clock_locked", "Whether the lowest allowed clock of the GPU is the highest."),
        ("gpu", "clock_locked"),
    ),
    TelemetryGauge(TEMPERATURE, ("gpu", "temp_c"), sensor="gpu"),
    TelemetryGauge(TEMPERATURE, ("cpu", "temp_c"), sensor="cpu"),
    TelemetryGauge(LOAD, ("gpu", "load_pct"), _PERCENT, sensor="gpu"),
    TelemetryGauge(LOAD, ("cpu", "load_pct"), _PERCENT, sensor="cpu"),
    TelemetryGauge(
        Gauge("ishowtts_power_watts", "Power of the board, of its module or of its graphics card."),
        ("board", "power_w"),
    ),
    TelemetryGauge(Gauge("ishowtts_fan_ratio", "Duty cycle of the fan."), ("board", "fan_pct"), _PERCENT),
    TelemetryGauge(
        Gauge("ishowtts_throttled", "Whether heat or a power fault slows the board down now."), ("board", "throttled")
    ),
    TelemetryGauge(Gauge("ishowtts_memory_used_bytes", "Used memory of the machine."), ("memory", "used_mb"), _MB),
    TelemetryGauge(Gauge("ishowtts_memory_size_bytes", "Memory of the machine."), ("memory", "total_mb"), _MB),
    TelemetryGauge(
        Gauge("ishowtts_daemon_memory_bytes", "Resident memory of the daemon."), ("memory", "process_mb"), _MB
    ),
    TelemetryGauge(
        Gauge("ishowtts_worker_memory_bytes", "Resident memory of all workers."), ("memory", "worker_mb"), _MB
    ),
    TelemetryGauge(
        Gauge("ishowtts_gpu_memory_bytes", "Memory of the GPU that the worker of F5 has reserved."),
        ("memory", "gpu_mb"),
        _MB,
    ),
    TelemetryGauge(
        Gauge("ishowtts_gpu_graph_memory_bytes", "Memory of the GPU that the graphs of F5 take besides."),
        ("memory", "gpu_graphs_mb"),
        _MB,
    ),
    TelemetryGauge(
        Gauge("ishowtts_audio_lateness_max_seconds", "Longest delay between two writes to the sound device."),
        ("audio", "lateness_max_s"),
    ),
    TelemetryGauge(Gauge("ishowtts_renders_active", "Renders whose sound is made or sent now."), ("renders", "active")),
    TelemetryGauge(Gauge("ishowtts_renders_waiting", "Renders that wait."), ("renders", "waiting")),
)

MEASURED = Gauge(
    "ishowtts_telemetry_timestamp_seconds",
    "When the newest telemetry was measured, by the clock of the appliance, in seconds since 1970.",
)
READY = Gauge("ishowtts_engine_ready", "Whether an engine can speak.", ("engine",))
LEADS = Gauge("ishowtts_leading_engine_info", "The engine that leads. Always 1.", ("engine",))
STATE = Gauge("ishowtts_state", "Whether the appliance is in this state.", ("state",))
QUEUE = Gauge("ishowtts_queue_lines", "Lines that wait.")
SPEAKING = Gauge("ishowtts_speaking", "Whether a line is being spoken.")
PAUSED = Gauge("ishowtts_paused", "Whether speech is paused.")
MUTED = Gauge("ishowtts_muted", "Whether the command mute holds.")
AUDIBLE = Gauge("ishowtts_audible", "0 if the appliance knows that nobody can hear the sound.")
VOLUME_RATIO = Gauge("ishowtts_volume_ratio", "Volume, from 0 to 1.")
ALERT = Gauge("ishowtts_alert_active", "Whether an alert of the appliance is active.", ("alert",))

GAUGES = (
    *dict.fromkeys(reading.gauge for reading in TELEMETRY_GAUGES),
    MEASURED, READY, LEADS, STATE, QUEUE, SPEAKING, PAUSED, MUTED, AUDIBLE, VOLUME_RATIO, ALERT,
)  # fmt: skip

Sample = tuple[Gauge, tuple[str, ...], float]


def from_telemetry(telemetry: Mapping[str, Any]) -> Iterator[Sample]:
    """What the newest telemetry tells."""
    for reading in TELEMETRY_GAUGES:
        if (value := _value(field(telemetry, *reading.path))) is not None:
            yield reading.gauge, (reading.sensor,) if reading.sensor else (), value * reading.scale
    ts = telemetry.get("ts")
    if isinstance(ts, str) and (measured_s := epoch_s(ts)) is not None:
        yield MEASURED, (), measured_s
    engines = telemetry.get("engines")
    ready: dict[str, bool] = {}
    for engine in engines[:_MAX_ENGINES] if isinstance(engines, list) else []:
        label = engine_label(field(engine, "name"))
        ready[label] = ready.get(label, False) or field(engine, "state") == "ready"
    yield from ((READY, (label,), float(value)) for label, value in ready.items())


def from_record(record: ApplianceRecord) -> Iterator[Sample]:
    """What the retained messages other than telemetry and alerts tell."""
    state = record.state or {}
    if (name := state.get("state")) in STATES:
        yield from ((STATE, (each,), float(each == name)) for each in STATES)
    if isinstance(state.get("engine"), str):
        yield LEADS, (engine_label(state["engine"]),), 1.0
    if state:
        yield SPEAKING, (), float(state.get("speaking") is not None)
    told = {
        QUEUE: _value(state.get("queue_depth")),
        PAUSED: _value(state.get("paused")),
        MUTED: _value(state.get("muted") if record.muted is None else record.muted),
        AUDIBLE: _value(state.get("audible")),
        VOLUME_RATIO: None if record.volume is None else record.volume / VOLUME[1],
    }
    yield from ((gauge, (), value) for gauge, value in told.items() if value is not None)


def from_alerts(record: ApplianceRecord) -> Iterator[Sample]:
    """Which alerts are active, of those that are known."""
    for name in AlertName:
        if isinstance(active := record.alerts.get(name.value, {}).get("active"), bool):
            yield ALERT, (name.value,), float(active)


def _value(value: Any) -> float | None:
    """A number, or a truth value as 1 or 0; `None` for everything else."""
    return float(value) if isinstance(value, bool) else number(value)

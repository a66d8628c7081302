"""The readings of `telemetry` that Home Assistant shows as sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ishowtts.mqtt.topics import Topics


@dataclass(frozen=True)
class TelemetrySensor:
    """One sensor.

    Args:
        key: Key of the component. It is a part of the unique id, and never changes.
        name: Name of the entity, after that of the device.
        path: Where the value stands in `telemetry`.
        unit: Unit as Home Assistant writes it. `None` for a number without a unit.
        device_class: Home Assistant's class, which determines the allowed units.
        digits: Decimals that are shown.
        share: Whether the value is a share from 0 to 1, which is shown in percent.
        counter: Whether the value only grows, until a restart.
        shown: Whether Home Assistant enables the entity by itself.
        main: Whether it stands with the sensors, and not under diagnostic.
    """

    key: str
    name: str
    path: str
    unit: str | None = None
    device_class: Literal["frequency", "temperature", "power", "data_size", "duration"] | None = None
    icon: str | None = None
    digits: int | None = None
    share: bool = False
    counter: bool = False
    shown: bool = False
    main: bool = False

    def fields(self, topics: Topics) -> dict[str, Any]:
        """The fields of its component, besides `platform`, `unique_id` and availability."""
        optional = {
            "unit_of_measurement": self.unit,
            "device_class": self.device_class,
            "icon": self.icon,
            "suggested_display_precision": self.digits,
            "entity_category": None if self.main else "diagnostic",
            "enabled_by_default": None if self.shown else False,
        }
        return {
            "name": self.name,
            "state_topic": topics.retained("telemetry"),
            "value_template": self._template(),
            "state_class": "total_increasing" if self.counter else "measurement",
            **{key: value for key, value in optional.items() if value is not None},
        }

    def _template(self) -> str:
        if not self.share:
            return f"{{{{ value_json.{self.path} | default(none) }}}}"
        return (
            f"{{% set share = value_json.{self.path} | default(none) %}}"
            "{{ none if share is none else (share * 100) | round(2) }}"
        )


SENSORS = (
    TelemetrySensor("rtf", "Real-time factor", "speech.rtf", icon="mdi:speedometer", digits=3, shown=True, main=True),
    TelemetrySensor(
        "ttfa", "Time to first sound", "speech.ttfa_s_p50", "s", "duration", digits=2, shown=True, main=True
    ),
    TelemetrySensor("gpu_clock", "GPU clock", "gpu.clock_mhz", "MHz", "frequency", digits=0, shown=True),
    TelemetrySensor("gpu_load", "GPU load", "gpu.load_pct", "%", icon="mdi:expansion-card", digits=0, shown=True),
    TelemetrySensor("gpu_temp", "GPU temperature", "gpu.temp_c", "°C", "temperature", digits=1, shown=True),
    TelemetrySensor("power", "Power", "board.power_w", "W", "power", digits=1, shown=True),
    TelemetrySensor("memory", "Memory used", "memory.used_mb", "MB", "data_size", digits=0, shown=True),
    TelemetrySensor("cpu_load", "CPU load", "cpu.load_pct", "%", icon="mdi:cpu-64-bit", digits=0),
    TelemetrySensor("cpu_temp", "CPU temperature", "cpu.temp_c", "°C", "temperature", digits=1),
    TelemetrySensor("fan", "Fan", "board.fan_pct", "%", icon="mdi:fan", digits=0),
    TelemetrySensor(
        "throttle_events", "Throttle events", "board.throttle_events", icon="mdi:speedometer-slow", counter=True
    ),
    TelemetrySensor("daemon_memory", "Memory of the daemon", "memory.process_mb", "MB", "data_size", digits=0),
    TelemetrySensor("worker_memory", "Memory of the workers", "memory.worker_mb", "MB", "data_size", digits=0),
    TelemetrySensor("rtf_p95", "Real-time factor, 95 %", "speech.rtf_p95", icon="mdi:speedometer", digits=3),
    TelemetrySensor("lines_per_min", "Lines a minute", "speech.lines_per_min", "lines/min", icon="mdi:speedometer"),
    TelemetrySensor("error_rate", "Error rate", "speech.error_rate", "%", icon="mdi:alert", digits=1, share=True),
    TelemetrySensor(
        "cache_rate", "Cache hit rate", "speech.cache_hit_rate", "%", icon="mdi:cached", digits=1, share=True
    ),
    TelemetrySensor("lines", "Lines", "speech.lines_total", "lines", icon="mdi:counter", counter=True),
    TelemetrySensor("lines_failed", "Lines failed", "speech.lines_failed", "lines", icon="mdi:counter", counter=True),
    TelemetrySensor(
        "lines_rejected", "Lines rejected", "speech.lines_rejected", "lines", icon="mdi:counter", counter=True
    ),
    TelemetrySensor("audio", "Sound played", "speech.audio_s_total", "s", "duration", digits=0, counter=True),
    TelemetrySensor(
        "cache_hits", "Lines from the cache", "speech.cache_hits", "lines", icon="mdi:cached", counter=True
    ),
    TelemetrySensor("underruns", "Underruns", "audio.underruns", icon="mdi:waveform", counter=True),
    TelemetrySensor("reconnects", "Reconnects", "mqtt.reconnects", icon="mdi:lan-connect", counter=True),
    TelemetrySensor("uptime", "Uptime", "uptime_s", "s", "duration", digits=0),
)

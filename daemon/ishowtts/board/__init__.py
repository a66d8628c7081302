"""Sensors and clocks of the Jetson. This module holds the types of a reading, and the interface of a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BoardReading:
    """Values of the board's sensors at one moment; `None` for a sensor that is absent or does not answer."""

    gpu_clock_mhz: float | None = None
    gpu_clock_max_mhz: float | None = None
    gpu_clock_locked: bool | None = None
    gpu_load_pct: float | None = None
    gpu_temp_c: float | None = None
    cpu_load_pct: float | None = None
    cpu_temp_c: float | None = None
    power_mode: str | None = None
    power_w: float | None = None
    fan_pct: float | None = None
    throttle_events: int | None = None
    throttled: bool | None = None
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None


@dataclass(frozen=True)
class BoardIdentity:
    """Model, JetPack and serial number of the board; `None` for what it does not report.

    Attributes:
        jetpack: JetPack and Jetson Linux with their names, as in `JetPack 6.2 (L4T 36.4.3)`.
    """

    model: str | None = None
    jetpack: str | None = None
    serial: str | None = None


class SensorSource(Protocol):
    """A source of readings, such as sysfs or NVML. A board combines several, field by field."""

    @property
    def name(self) -> str:
        """Name in `sources` of `info`: `sysfs`, `nvml`, `jetson-stats`, `simulated`."""

    def start(self) -> None:
        """Starts what the source needs. Returns at once."""

    def read(self) -> BoardReading:
        """Returns the values now. Never raises and never blocks: what is unknown is `None`."""

    def close(self, timeout_s: float) -> None:
        """Ends what the source started."""


class Board(Protocol):
    """The machine: what it is, and its readings."""

    def identity(self) -> BoardIdentity:
        """Returns model, JetPack and serial number. Called once."""

    def start(self) -> None:
        """Starts the sources. Returns at once."""

    def read(self) -> BoardReading:
        """Reads the sensors now. Never raises: what cannot be read is `None`."""

    def sources(self) -> Mapping[str, str]:
        """Returns the source of each field of `BoardReading`, as of the last reading in which it had a value."""

    def close(self, timeout_s: float) -> None:
        """Ends the sources."""

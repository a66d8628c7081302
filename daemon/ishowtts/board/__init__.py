"""The Jetson under the daemon. This package's face holds what a board reading is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BoardReading:
    """What the board's sensors say now; `None` for what it does not have or does not tell."""

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
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None


@dataclass(frozen=True)
class BoardIdentity:
    """What the board is; `None` where it does not say."""

    model: str | None = None
    jetpack: str | None = None
    serial: str | None = None


class Board(Protocol):
    """A source of readings."""

    def identity(self) -> BoardIdentity:
        """What this board is; read once."""

    def read(self) -> BoardReading:
        """A reading now. Never raises: what cannot be read is `None`."""

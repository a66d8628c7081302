"""Chooses the board for `board.source`, and holds the simulated sensors."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Final

from ishowtts.board import Board, BoardIdentity, BoardReading, SensorSource
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.jetson_stats import JetsonStatsSensors
from ishowtts.board.nvml import NvmlSensors
from ishowtts.board.sysfs import SysfsBoard

SYSFS: Final = Path("/sys")
"""The sysfs of this machine. Another one is a recorded tree, which NVML and jetson-stats know nothing of."""


def detect_board(source: str, sysfs_root: Path, *, jetson_stats: bool = False) -> Board:
    """Returns the board. Its sources are not started.

    Args:
        source: `auto` reads sysfs, and what sysfs lacks from NVML. `sysfs` reads sysfs only, `simulated` invents
            values, `none` has no values.
        sysfs_root: /sys, or a recorded tree.
        jetson_stats: With `auto`, also asks the service of jetson-stats for what is still missing.
    """
    if source == "simulated":
        return CombinedBoard(lambda: BoardIdentity("simulated", "simulated", None), [SimulatedSensors()])
    if source == "none":
        return CombinedBoard(BoardIdentity, [])
    sysfs = SysfsBoard(sysfs_root)
    sources: list[SensorSource] = [sysfs]
    if source == "auto" and sysfs_root == SYSFS:
        sources.append(NvmlSensors())
        if jetson_stats:
            sources.append(JetsonStatsSensors())
    return CombinedBoard(sysfs.identity, sources)


class SimulatedSensors:
    """Simulated sensors, for developing dashboards on other machines. Their values change slowly and are realistic."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()

    name = "simulated"

    def start(self) -> None:
        """Does nothing."""

    def read(self) -> BoardReading:
        """Returns the simulated values of this moment."""
        wave = math.sin((time.monotonic() - self._began_at) / 20)
        return BoardReading(
            gpu_clock_mhz=1300.5,
            gpu_clock_max_mhz=1300.5,
            gpu_clock_locked=True,
            gpu_load_pct=50 + 40 * wave,
            gpu_temp_c=52 + 6 * wave,
            cpu_load_pct=15 + 10 * wave,
            cpu_temp_c=49 + 4 * wave,
            power_mode="MAXN",
            power_w=22 + 8 * wave,
            fan_pct=40 + 20 * wave,
            throttle_events=0,
            throttled=False,
            memory_used_mb=9000.0,
            memory_total_mb=30697.0,
        )

    def close(self, timeout_s: float) -> None:
        """Does nothing."""

"""Chooses the board for `board.source`, and holds the simulated sensors."""

from __future__ import annotations

import math
import time
from pathlib import Path

from ishowtts.board import Board, BoardIdentity, BoardReading
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.sysfs import SysfsBoard


def detect_board(source: str, sysfs_root: Path) -> Board:
    """Returns the board: `auto` and `sysfs` read sysfs, `simulated` invents values, `none` has no values."""
    if source == "simulated":
        return CombinedBoard(lambda: BoardIdentity("simulated", "simulated", None), [SimulatedSensors()])
    if source == "none":
        return CombinedBoard(BoardIdentity, [])
    sysfs = SysfsBoard(sysfs_root)
    return CombinedBoard(sysfs.identity, [sysfs])


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

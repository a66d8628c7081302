"""Chooses the sources of readings for `board.source`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ishowtts.board import Board, BoardIdentity, SensorSource
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.jetson_stats import JetsonStatsSensors
from ishowtts.board.nvml import NvmlSensors
from ishowtts.board.simulated import SimulatedSensors
from ishowtts.board.sysfs import SysfsBoard
from ishowtts.board.timely_board import TimelyBoard

SYSFS: Final = Path("/sys")
"""The sysfs of this machine. Another one is a recorded tree, which NVML and jetson-stats know nothing of."""


def detect_board(
    source: str, sysfs_root: Path, *, jetson_stats: bool = False, busy: Callable[[], bool] | None = None
) -> Board:
    """Returns the board. Its sources are not started.

    Args:
        source: `auto` reads sysfs, and what sysfs lacks from NVML. `sysfs` reads sysfs only, `simulated` invents
            values, `none` has no values.
        sysfs_root: /sys, or a recorded tree.
        jetson_stats: With `auto`, also asks the service of jetson-stats for what is still missing.
        busy: Whether a line is being spoken, which loads a simulated board.
    """
    if source == "simulated":
        return CombinedBoard(lambda: BoardIdentity("simulated"), [SimulatedSensors(busy)])
    if source == "none":
        return CombinedBoard(BoardIdentity, [])
    sysfs = SysfsBoard(sysfs_root)
    sources: list[SensorSource] = [sysfs]
    if source == "auto" and sysfs_root == SYSFS:
        sources.append(NvmlSensors())
        if jetson_stats:
            sources.append(JetsonStatsSensors())
    return TimelyBoard(CombinedBoard(sysfs.identity, sources))

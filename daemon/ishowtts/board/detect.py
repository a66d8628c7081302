"""Chooses the board for `board.source`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ishowtts.board import Board, BoardIdentity
from ishowtts.board.combined_board import CombinedBoard
from ishowtts.board.simulated import SimulatedSensors
from ishowtts.board.sysfs import SysfsBoard


def detect_board(source: str, sysfs_root: Path, *, busy: Callable[[], bool] | None = None) -> Board:
    """Returns the board: `auto` and `sysfs` read sysfs, `simulated` invents values, `none` has no values.

    Args:
        busy: Whether a line is being spoken, which loads a simulated board.
    """
    if source == "simulated":
        return CombinedBoard(lambda: BoardIdentity("simulated", "simulated", None), [SimulatedSensors(busy)])
    if source == "none":
        return CombinedBoard(BoardIdentity, [])
    sysfs = SysfsBoard(sysfs_root)
    return CombinedBoard(sysfs.identity, [sysfs])

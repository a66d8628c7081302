"""Chooses the board for `board.source`."""

from __future__ import annotations

from pathlib import Path

from ishowtts.board import Board, BoardIdentity, BoardReading
from ishowtts.board.simulated import SimulatedBoard
from ishowtts.board.sysfs import SysfsBoard


class UnknownBoard:
    """A board without any reading, for `board.source: none`."""

    def identity(self) -> BoardIdentity:
        """Returns an identity without values."""
        return BoardIdentity()

    def read(self) -> BoardReading:
        """Returns a reading without values."""
        return BoardReading()


def detect_board(source: str, sysfs_root: Path) -> Board:
    """Returns the board: `auto` and `sysfs` read sysfs, `simulated` invents values, `none` has no values."""
    if source == "simulated":
        return SimulatedBoard()
    return UnknownBoard() if source == "none" else SysfsBoard(sysfs_root)

"""The board that `board.source` asks for."""

from __future__ import annotations

from pathlib import Path

from ishowtts.board import Board, BoardIdentity, BoardReading
from ishowtts.board.simulated import SimulatedBoard
from ishowtts.board.sysfs import SysfsBoard


class UnknownBoard:
    """Tells nothing."""

    def identity(self) -> BoardIdentity:
        """Unknown."""
        return BoardIdentity()

    def read(self) -> BoardReading:
        """Nothing."""
        return BoardReading()


def detect_board(source: str, sysfs_root: Path) -> Board:
    """`auto` and `sysfs` read what is there; `simulated` makes it up and says so; `none` tells nothing."""
    if source == "simulated":
        return SimulatedBoard()
    return UnknownBoard() if source == "none" else SysfsBoard(sysfs_root)

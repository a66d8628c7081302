"""A wall clock of one process and its children that a test sets, while that of the machine stays."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("wall_clock.c")


class WallClock:
    """Builds the library and its file. Every process with this `environment` has the clock.

    `sem_timedwait`, which Python 3.10 waits with, counts on the kernel's wall clock: there this clock must not jump.

    Args:
        folder: An existing folder, for the library and the file.
    """

    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "wall-clock-ahead"
        library = folder / "wall_clock.so"
        self.set_ahead(0)
        command = ["gcc", "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self._ahead)}

    def set_ahead(self, ahead_s: int) -> None:
        """Lets the clock be so many seconds ahead of the machine's; behind it if negative."""
        with self._ahead.open("r+b" if self._ahead.exists() else "w+b") as file:
            file.write(struct.pack("q", ahead_s))

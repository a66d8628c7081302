"""NVIDIA's `jetson_clocks`, believed only after reading back: it exits 0 whatever happened."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ishowtts.board.sysfs import SysfsBoard
from ishowtts.errors import BoardError

_DEADLINE_S = 60


@dataclass(frozen=True)
class ClocksState:
    """The GPU's clock, as sysfs tells it; `None` where it does not."""

    gpu_clock_mhz: float | None
    gpu_clock_max_mhz: float | None
    locked: bool | None

    def __str__(self) -> str:
        if self.locked is None:
            return "this machine shows no GPU clock"
        how = "locked" if self.locked else "not locked"
        return f"GPU at {self.gpu_clock_mhz:g} of {self.gpu_clock_max_mhz:g} MHz, {how}"


class Clocks:
    """Lock, restore and show the clocks.

    Args:
        store: where the clocks from before are kept.
        sysfs_root: /sys, or what stands for it.
        program: a name on PATH.
    """

    def __init__(self, *, store: Path, sysfs_root: Path = Path("/sys"), program: str = "jetson_clocks") -> None:
        self._store = store
        self._board = SysfsBoard(sysfs_root)
        self._program = program

    def apply(self) -> ClocksState:
        """Keep the clocks as they are, lock them at their maximum, and read back.

        Raises:
            BoardError: there is no jetson_clocks, it failed, or the GPU is not locked afterwards.
        """
        # A second apply must not store locked clocks as those from before; and --store asks where FILE exists.
        if not self._store.exists():
            try:
                self._store.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BoardError(f"{self._store.parent} cannot be made ({error.strerror}); run as root") from error
            self._run("--store", str(self._store))
        self._run()
        state = self.show()
        if state.locked is None:
            raise BoardError(f"{self._program} ran, but this machine shows no GPU clock to verify it by")
        if not state.locked:
            raise BoardError(f"{self._program} ran, but the GPU is not locked ({state}); run as root, see its output")
        return state

    def restore(self) -> ClocksState:
        """Put back the clocks from before.

        Raises:
            BoardError: nothing was stored, or the program failed.
        """
        if not self._store.exists():
            raise BoardError(f"there is no {self._store}: the clocks were not locked by `ishowtts clocks apply`")
        self._run("--restore", str(self._store))
        try:
            self._store.unlink()
        except OSError as error:
            raise BoardError(f"{self._store} cannot be removed ({error.strerror}); run as root") from error
        return self.show()

    def show(self) -> ClocksState:
        """As sysfs tells."""
        reading = self._board.read()
        return ClocksState(reading.gpu_clock_mhz, reading.gpu_clock_max_mhz, reading.gpu_clock_locked)

    def _run(self, *arguments: str) -> None:
        program = shutil.which(self._program)
        if program is None:
            raise BoardError(f"there is no {self._program} here: this is no Jetson, or nvidia-l4t-tools is missing")
        # The program needs a home: under systemd there is none.
        environment = {"HOME": "/root", **os.environ}
        try:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_DEADLINE_S,
                env=environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BoardError(f"{self._program} {' '.join(arguments)} did not end well: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise BoardError(f"{self._program} {' '.join(arguments)} failed: {said[-1] if said else 'without a word'}")

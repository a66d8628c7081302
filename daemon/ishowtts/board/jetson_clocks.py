"""NVIDIA's `jetson_clocks`, believed only after reading back: it exits 0 whatever happened."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ishowtts.board.sysfs import SysfsBoard
from ishowtts.errors import BoardError

# Shorter than the unit's own limit, so that its log shows our sentence.
_DEADLINE_S = 25.0


@dataclass(frozen=True)
class ClocksState:
    """The GPU's clock, as sysfs tells it; `None` where it does not."""

    gpu_clock_mhz: float | None
    gpu_clock_max_mhz: float | None
    locked: bool | None

    def __str__(self) -> str:
        if self.locked is None or self.gpu_clock_max_mhz is None:
            return "this machine shows no GPU clock"
        how = "locked" if self.locked else "not locked"
        now = "an unknown clock" if self.gpu_clock_mhz is None else f"{self.gpu_clock_mhz:g}"
        return f"GPU at {now} of {self.gpu_clock_max_mhz:g} MHz, {how}"


class JetsonClocks:
    """Lock, restore and show the clocks.

    Args:
        store: where the clocks from before are kept.
        sysfs_root: /sys, or what stands for it.
        program: a name on PATH, or a path.
        deadline_s: how long one run of the program may take.
    """

    def __init__(
        self,
        *,
        store: Path,
        sysfs_root: Path = Path("/sys"),
        program: str = "jetson_clocks",
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._store = store
        self._board = SysfsBoard(sysfs_root)
        self._program = program
        self._deadline_s = deadline_s

    def apply(self) -> ClocksState:
        """Keep the clocks as they are, lock them at their maximum, and read back.

        Raises:
            BoardError: there is no jetson_clocks, it failed, or the GPU is not locked afterwards.
        """
        # A second apply must not store locked clocks as those from before; and --store asks where FILE exists.
        if not self._stored():
            self._keep()
        self._run()
        state = self.show()
        if state.locked is None:
            raise BoardError(f"{self._program} ran, but this machine shows no GPU clock to verify it by")
        if not state.locked:
            raise BoardError(f"{self._program} ran, but the GPU is not locked ({state}); run as root, see its output")
        return state

    def restore(self) -> ClocksState:
        """Put back the clocks from before, and read back.

        Raises:
            BoardError: nothing was stored, the program failed, or the GPU is still locked; what was stored is kept.
        """
        stored = self._stored()
        if not stored:
            raise BoardError(f"there is no {self._store}: the clocks were not locked by `ishowtts clocks apply`")
        self._run("--restore", str(self._store))
        state = self.show()
        if state.locked and not _was_locked(stored):
            raise BoardError(f"{self._program} --restore ran, but the GPU is still locked ({state}); run as root")
        self._forget()
        return state

    def show(self) -> ClocksState:
        """As sysfs tells."""
        reading = self._board.read()
        return ClocksState(reading.gpu_clock_mhz, reading.gpu_clock_max_mhz, reading.gpu_clock_locked)

    def _stored(self) -> str:
        """What was stored; empty where there is nothing, or where a storing was cut short before its first line."""
        try:
            return self._store.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise BoardError(f"{self._store} cannot be read ({error.strerror}); run as root") from error

    def _keep(self) -> None:
        self._forget()
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BoardError(f"{self._store.parent} cannot be made ({error.strerror}); run as root") from error
        self._run("--store", str(self._store))
        if not self._stored():
            raise BoardError(f"{self._program} --store wrote nothing to {self._store}: without it there is no way back")

    def _forget(self) -> None:
        try:
            self._store.unlink(missing_ok=True)
        except OSError as error:
            raise BoardError(f"{self._store} cannot be removed ({error.strerror}); run as root") from error

    def _run(self, *arguments: str) -> None:
        """Run the program to its end.

        Raises:
            BoardError: it is not there, cannot be started, is not done in time, or says that it failed.
        """
        program = shutil.which(self._program)
        if program is None:
            raise BoardError(f"there is no {self._program} here: this is no Jetson, or nvidia-l4t-tools is missing")
        what = " ".join([self._program, *arguments])
        try:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # The program needs a home: under systemd there is none.
                env={**os.environ, "HOME": os.environ.get("HOME") or "/root"},
                start_new_session=True,
            )
        except OSError as error:
            raise BoardError(f"{what} cannot be started ({error.strerror})") from error
        with process:
            try:
                said, _ = process.communicate(timeout=self._deadline_s)
            except subprocess.TimeoutExpired as error:
                # With its children: it is a shell script, and what it started would hold our pipe open.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise BoardError(f"{what} was not done after {self._deadline_s:g} s and was ended") from error
        if process.returncode != 0:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BoardError(f"{what} failed: {last[0] if last else 'without a word'}")


def _was_locked(stored: str) -> bool:
    """Whether the GPU's clock was locked already when it was stored: the file holds lines of `path:value`."""
    bounds = re.findall(r"^(\S*(?:gpu|ga10b|gv11b|gp10b)\S*)/(min|max)_freq:(\d+)$", stored, re.MULTILINE)
    low, high = ({folder: value for folder, which, value in bounds if which == name} for name in ("min", "max"))
    return any(high.get(folder) == value for folder, value in low.items())

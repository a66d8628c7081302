"""Runs NVIDIA's `jetson_clocks` and verifies the result in sysfs, because the program exits 0 whatever happens."""

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

# Shorter than the time limit of the systemd unit, so that its log shows our sentence.
_DEADLINE_S = 25.0


@dataclass(frozen=True)
class ClocksState:
    """The GPU's clock from sysfs; `None` for what sysfs does not show."""

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
    """Locks, restores and shows the clocks.

    Args:
        store: File that keeps the clocks from before the lock.
        sysfs_root: /sys, or a copy for tests.
        program: A name on PATH, or a path.
        deadline_s: Time limit of one run of the program.
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
        """Stores the present clocks, locks them at their maximum, and verifies the lock.

        Raises:
            BoardError: There is no jetson_clocks, it failed, or the GPU is not locked afterwards.
        """
        # A second apply must not store locked clocks as those from before. And --store asks a question if FILE exists.
        if not self._stored():
            self._store_clocks()
        self._run()
        state = self.show()
        if state.locked is None:
            raise BoardError(f"{self._program} ran, but this machine shows no GPU clock to verify it by")
        if not state.locked:
            raise BoardError(f"{self._program} ran, but the GPU is not locked ({state}); run as root, see its output")
        return state

    def restore(self) -> ClocksState:
        """Restores the stored clocks, and verifies that the GPU is not locked.

        Raises:
            BoardError: Nothing was stored, the program failed, or the GPU is still locked. The stored clocks are kept.
        """
        stored = self._stored()
        if not stored:
            raise BoardError(f"there is no {self._store}: the clocks were not locked by `ishowtts clocks apply`")
        self._run("--restore", str(self._store))
        state = self.show()
        if state.locked and not _was_locked(stored):
            raise BoardError(f"{self._program} --restore ran, but the GPU is still locked ({state}); run as root")
        self._delete_store()
        return state

    def show(self) -> ClocksState:
        """Returns the present state of the GPU's clock, from sysfs."""
        reading = self._board.read()
        return ClocksState(reading.gpu_clock_mhz, reading.gpu_clock_max_mhz, reading.gpu_clock_locked)

    def _stored(self) -> str:
        """Returns the stored clocks; empty if there are none, or if the program died before it wrote a line."""
        try:
            return self._store.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise BoardError(f"{self._store} cannot be read ({error.strerror}); run as root") from error

    def _store_clocks(self) -> None:
        self._delete_store()
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BoardError(f"{self._store.parent} cannot be created ({error.strerror}); run as root") from error
        self._run("--store", str(self._store))
        if not self._stored():
            raise BoardError(f"{self._program} --store wrote nothing to {self._store}: without it there is no way back")

    def _delete_store(self) -> None:
        try:
            self._store.unlink(missing_ok=True)
        except OSError as error:
            raise BoardError(f"{self._store} cannot be removed ({error.strerror}); run as root") from error

    def _run(self, *arguments: str) -> None:
        """Runs the program until it ends.

        Raises:
            BoardError: The program is missing, cannot be started, exceeds the time limit, or reports a failure.
        """
        program = shutil.which(self._program)
        if program is None:
            raise BoardError(f"there is no {self._program} here: this is not a Jetson, or nvidia-l4t-tools is missing")
        what = " ".join([self._program, *arguments])
        try:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # The program needs HOME, which systemd does not set.
                env={**os.environ, "HOME": os.environ.get("HOME") or "/root"},
                start_new_session=True,
            )
        except OSError as error:
            raise BoardError(f"{what} cannot be started ({error.strerror})") from error
        with process:
            try:
                output, _ = process.communicate(timeout=self._deadline_s)
            except subprocess.TimeoutExpired as error:
                # The whole group: the program is a shell script, and its children would keep the pipe open.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise BoardError(f"{what} did not finish within {self._deadline_s:g} s and was killed") from error
        if process.returncode != 0:
            last = output.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BoardError(f"{what} failed: {last[0] if last else 'without a message'}")


def _was_locked(stored: str) -> bool:
    """Whether the GPU's clock was already locked when it was stored. The file holds lines of `path:value`."""
    bounds = re.findall(r"^(\S*(?:gpu|ga10b|gv11b|gp10b)\S*)/(min|max)_freq:(\d+)$", stored, re.MULTILINE)
    low, high = ({folder: value for folder, which, value in bounds if which == name} for name in ("min", "max"))
    return any(high.get(folder) == value for folder, value in low.items())

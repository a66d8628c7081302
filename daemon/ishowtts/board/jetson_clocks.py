"""Runs NVIDIA's `jetson_clocks` and verifies the result in sysfs, because the program exits 0 whatever happens.

A run may be interrupted at any point, also by SIGKILL. The way back is stored before anything is locked, and deleted
only after the clocks were restored: `apply` and `restore` then work as if the interrupted run had not been.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.board.board_program import run_board_program
from ishowtts.board.clocks_state import ClocksState, read_clocks
from ishowtts.board.former_clocks import FormerClocks
from ishowtts.board.nvpmodel import PowerMode, PowerModes
from ishowtts.errors import BoardError
from ishowtts.util.file_lock import lock_file

STORE = Path("/run/ishowtts-clocks/store")
"""Keeps the former clocks, in a folder of root's that a reboot empties, as a reboot also unlocks the clocks."""

_DEADLINE_S = 25.0
# A run of another process takes at most three programs' time: nvpmodel, --store and the lock.
_OTHER_RUN_S = 80.0


@dataclass(frozen=True)
class AppliedClocks:
    """Result of `apply`.

    Attributes:
        state: The clocks, which are locked.
        former_mode: The power mode from before, if `apply` changed it.
        mode_problem: Why the power mode is not the configured one; `None` if it is.
    """

    state: ClocksState
    former_mode: PowerMode | None = None
    mode_problem: BoardError | None = None


class JetsonClocks:
    """Locks, restores and shows the clocks.

    Args:
        store: File that keeps the clocks from before the lock.
        sysfs_root: /sys, or a copy for tests.
        power_modes: The power modes of this board.
        program: A name on PATH, or a path.
        deadline_s: Time limit of one run of the program.
    """

    def __init__(
        self,
        *,
        store: Path = STORE,
        sysfs_root: Path = Path("/sys"),
        power_modes: PowerModes | None = None,
        program: str = "jetson_clocks",
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._former = FormerClocks(store, sysfs_root)
        self._sysfs = sysfs_root
        self._power_modes = power_modes or PowerModes()
        self._program = program
        self._deadline_s = deadline_s

    def apply(self, power_mode: str | None = None) -> AppliedClocks:
        """Sets the power mode, stores the present clocks, locks them at their maximum, and verifies the lock.

        Args:
            power_mode: Name of the power mode; `None` leaves it as it is. If it cannot be set, the clocks are locked in
                the present mode, and the result says why.

        Raises:
            BoardError: There is no jetson_clocks, it failed, or the GPU is not locked afterwards.
        """
        with self._only_run() as lock:
            # First, because the mode sets the maximum of each clock.
            former, problem = self._set_power_mode(power_mode)
            return AppliedClocks(self._lock_clocks(lock), former, problem)

    def repair(self) -> ClocksState | None:
        """Locks the clocks again if something has unlocked them after `apply`. Leaves the power mode as it is.

        Returns:
            The clocks; `None` if they are not to be locked: `apply` did not run, or `restore` ran after it.

        Raises:
            BoardError: As `apply`.
        """
        with self._only_run() as lock:
            if not self._former.read():
                return None
            state = self.show()
            return state if state.complete else self._lock_clocks(lock)

    def restore(self) -> ClocksState:
        """Restores the stored clocks, and verifies that the GPU is not locked. Leaves the power mode as it is.

        Raises:
            BoardError: The clocks are locked and nothing was stored, the program failed, or the GPU is still locked.
                The stored clocks are kept.
        """
        with self._only_run() as lock:
            if not self._former.read():
                return self._nothing_to_restore()
            self._former.keep_usable()
            self._run(lock, "--restore", str(self._former.path))
            state = self._show_gpu()
            if state.locked and not self._former.gpu_was_locked():
                raise BoardError(f"{self._program} --restore ran, but the GPU is still locked ({state}); run as root")
            self._former.delete()
            return state

    def show(self) -> ClocksState:
        """Returns the present state of the clocks, from sysfs."""
        return read_clocks(self._sysfs)

    def stored_at_s(self) -> float | None:
        """Returns when `apply` stored the former clocks, in seconds since 1970; `None` if nothing is stored."""
        return self._former.stored_at_s()

    def _nothing_to_restore(self) -> ClocksState:
        state = self.show()
        if state.locked:
            raise BoardError(
                f"there is no {self._former.path}: the clocks were not locked by `ishowtts clocks apply` ({state}); "
                "whoever locked them can restore them, and a reboot does"
            )
        if state.locked is False:
            self._former.delete()  # a file without usable lines must not look like a lock
        return state

    def _set_power_mode(self, name: str | None) -> tuple[PowerMode | None, BoardError | None]:
        if name is None:
            return None, None
        try:
            return self._power_modes.choose(name), None
        except BoardError as error:
            return None, error

    def _lock_clocks(self, lock: int) -> ClocksState:
        self._store_clocks(lock)
        self._run(lock)
        state = self._show_gpu()
        if not state.locked:
            raise BoardError(f"{self._program} ran, but the GPU is not locked ({state}); run as root, see its output")
        return state

    def _show_gpu(self) -> ClocksState:
        """Returns the state of the clocks. Raises BoardError if it does not show whether the GPU is locked."""
        state = self.show()
        if state.locked is None:
            raise BoardError(f"{self._program} ran, but this machine shows no GPU clock to verify it by")
        return state

    def _store_clocks(self, lock: int) -> None:
        """Stores the clocks. The program writes to a new file: at one that exists it asks a question."""
        output = self._beside(".output")
        output.unlink(missing_ok=True)
        try:
            self._run(lock, "--store", str(output))
            if not output.exists():
                raise BoardError(f"{self._program} --store wrote nothing to {output}: without it there is no way back")
            text = output.read_text(encoding="utf-8", errors="replace")
        finally:
            output.unlink(missing_ok=True)
        self._former.store(text)

    def _run(self, lock: int, *arguments: str) -> None:
        """Runs the program until it ends.

        Raises:
            BoardError: The program is missing, cannot be started, exceeds the time limit, or reports a failure.
        """
        # The program needs HOME, which systemd does not set. There it keeps the state of the fan, by which --restore
        # starts or stops nvfancontrol. In an empty folder it finds none, and leaves the fan alone.
        home = self._beside(".home")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700, exist_ok=True)
        command = [self._program, *arguments]
        result = run_board_program(command, self._deadline_s, "nvidia-l4t-tools", {"HOME": str(home)}, [lock])
        if result.status != 0:
            raise BoardError(f"{' '.join(command)} failed: {result.last_line}")

    @contextmanager
    def _only_run(self) -> Iterator[int]:
        """Excludes other runs: a repair must not lock what a restore just unlocked. Yields the lock's descriptor.

        The program inherits the descriptor. If this process is killed, the lock holds until the program ends, too.
        """
        self._former.make_folder()
        path = self._beside(".lock")
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise BoardError(f"{path} cannot be written ({error.strerror}); run as root") from error
        try:
            if not lock_file(lock, _OTHER_RUN_S):
                raise BoardError(f"another run holds {path}; look for `ishowtts clocks` in ps")
            yield lock
        finally:
            os.close(lock)

    def _beside(self, suffix: str) -> Path:
        return self._former.path.with_name(f"{self._former.path.name}{suffix}")

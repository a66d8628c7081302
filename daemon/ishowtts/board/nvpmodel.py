"""Reads and sets the power mode of a Jetson by its name, with NVIDIA's `nvpmodel`. Never causes a reboot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ishowtts.board.board_program import ProgramNotInstalled, run_board_program
from ishowtts.board.sensor_files import read_text
from ishowtts.errors import BoardError
from ishowtts.util.files import read_bounded

_MAX_BYTES = 256 * 1024
_DEADLINE_S = 25.0
_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=(\S{1,64})\s*>")


class PowerModeRefused(BoardError):
    """The power mode cannot be set by a program. Another try would not help."""


@dataclass(frozen=True)
class PowerMode:
    """A power mode. The number of a name differs from board to board."""

    number: int
    name: str

    def is_called(self, name: str) -> bool:
        """Whether this is its name, in any case and with or without NVIDIA's prefix `MODE_`."""
        return _plain(self.name) == _plain(name)


class PowerModes:
    """The power modes of this board.

    Args:
        etc: /etc, or a copy for tests.
        var: /var, or a copy for tests.
        program: A name on PATH, or a path.
        deadline_s: Time limit of one run of the program.
    """

    def __init__(
        self,
        *,
        etc: Path = Path("/etc"),
        var: Path = Path("/var"),
        program: str = "nvpmodel",
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._modes_file = etc / "nvpmodel.conf"
        self._status_file = var / "lib" / "nvpmodel" / "status"
        self._program = program
        self._deadline_s = deadline_s

    def known(self) -> tuple[PowerMode, ...]:
        """Returns the modes that /etc/nvpmodel.conf defines; none if it cannot be read."""
        try:
            text = read_bounded(self._modes_file, _MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ()
        found = (_MODE.fullmatch(line.strip()) for line in text.splitlines())
        return tuple(PowerMode(int(mode[1]), mode[2]) for mode in found if mode)

    def present(self) -> PowerMode | None:
        """Returns the mode that nvpmodel set last; `None` if that is unknown."""
        status = re.search(r"pmode:(\d{1,4})\b", read_text(self._status_file) or "")
        if status is None:
            return None
        number = int(status[1])
        return next((mode for mode in self.known() if mode.number == number), PowerMode(number, f"mode {number}"))

    def choose(self, name: str) -> PowerMode | None:
        """Sets the mode of this name, unless it is the present one. Reads the result back.

        Returns:
            The former mode if it was changed and is known, else `None`.

        Raises:
            PowerModeRefused: There is no such mode, or it takes a reboot.
            BoardError: nvpmodel failed.
        """
        wanted = self._find(name)
        former = self.present()
        if former == wanted:
            return None
        try:
            # At a mode that takes a reboot, nvpmodel asks whether to reboot. Its input is empty: that means no.
            result = run_board_program(
                [self._program, "-m", str(wanted.number)], self._deadline_s, "nvidia-l4t-nvpmodel", {}
            )
        except ProgramNotInstalled as error:
            raise PowerModeRefused(str(error)) from error
        if self.present() == wanted:
            return former
        if "reboot" in result.output.lower():
            raise PowerModeRefused(
                f"the power mode {wanted.name} takes a reboot, which is never done by itself; "
                f"choose it once by hand: sudo nvpmodel -m {wanted.number}, and confirm the reboot"
            )
        raise BoardError(f"nvpmodel -m {wanted.number} did not set the power mode {wanted.name}: {result.last_line}")

    def _find(self, name: str) -> PowerMode:
        """Returns the mode that is called so. An exact name comes first."""
        known = self.known()
        found = [mode for mode in known if mode.name == name] or [mode for mode in known if mode.is_called(name)]
        if len(found) == 1:
            return found[0]
        if not known:
            raise PowerModeRefused(
                f"board.power_mode is {name}, but {self._modes_file} lists no power modes: this is not a Jetson"
            )
        names = ", ".join(mode.name for mode in known)
        raise PowerModeRefused(f"board.power_mode is {name}, but this board has only the power modes {names}")


def _plain(name: str) -> str:
    return name.lower().removeprefix("mode_")

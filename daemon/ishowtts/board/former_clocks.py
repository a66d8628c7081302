"""Keeps the clocks from before the lock in a file that is complete whenever it exists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ishowtts.board.clocks_state import EMC_LOCK
from ishowtts.board.sensor_files import read_text
from ishowtts.errors import BoardError
from ishowtts.util.files import make_folder, read_bounded

_MAX_BYTES = 1 << 20  # an Orin with 12 cores has 40 lines
# jetson_clocks splits the file at white space, expands wildcards in it and cuts at colons.
_LINE = re.compile(r"(/[A-Za-z0-9_.,@+/-]+):([A-Za-z0-9_.-]+)")
_GPU_NAME = re.compile(r"gpu(?!-nvd)|ga10b|gv11b|gp10b")  # gpu-nvd-0 of a Thor is its video engine
_CPU_MIN = "scaling_min_freq"
# What jetson_clocks changes, and the value that it writes there; None: the highest clock.
_CHANGED: Mapping[str, str | None] = {
    f"devices/system/cpu/cpu[0-9]*/cpufreq/{_CPU_MIN}": None,
    "devices/system/cpu/cpu[0-9]*/cpuidle/state[0-9]*/disable": "1",
    "class/devfreq/*/min_freq": None,
    "devices/platform/gpu.0/railgate_enable": "0",
    EMC_LOCK: "1",
}


class FormerClocks:
    """The file of lines `path:value` that `jetson_clocks --restore` reads.

    Args:
        path: The file. It is replaced in one step, so that no reader and no interrupted run meets half of it.
        sysfs: /sys, or a copy for tests. Paths outside are never stored.
    """

    def __init__(self, path: Path, sysfs: Path) -> None:
        self.path = path
        self._sysfs = sysfs

    def read(self) -> dict[str, str]:
        """Returns the stored value of each path; empty if nothing usable is stored.

        Raises:
            BoardError: The file cannot be read.
        """
        return self._usable(self._read_text())

    def keep_usable(self) -> None:
        """Removes all other lines from the file: root writes whatever `--restore` finds in it, anywhere.

        Raises:
            BoardError: The file cannot be read or written.
        """
        text = self._read_text()
        usable = self._usable(text)
        if text != "".join(_lines(usable)):
            self._write(usable)

    def stored_at_s(self) -> float | None:
        """Returns when the file was written, in seconds since 1970; `None` without a file."""
        with suppress(OSError):
            return self.path.stat().st_mtime
        return None

    def store(self, text: str) -> None:
        """Adds what the file does not have yet. Earlier values stay, because they are from before a lock.

        Args:
            text: The lines that `jetson_clocks --store` wrote now. What it left out is read from sysfs.

        Raises:
            BoardError: There is nothing to store, or the file cannot be written.
        """
        former = self.read()
        found = {**self._read_changed(), **self._usable(text)}
        known = {os.path.realpath(path) for path in former}
        # With earlier values there may be a lock: a core that came online since then has a former value or ours.
        added = {
            path: value
            for path, value in found.items()
            if os.path.realpath(path) not in known and not (former and self._is_locked(path, value))
        }
        if not any(_is_gpu(path) for path in (*former, *added)):
            raise BoardError(f"no clock of the GPU can be stored in {self.path}: without it there is no way back")
        if added:
            self._write({**former, **added})

    def gpu_was_locked(self) -> bool:
        """Returns whether the GPU's clock was already locked when it was stored."""
        stored = self.read()
        return any(_is_gpu(path) and self._is_locked(path, value) for path, value in stored.items())

    def delete(self) -> None:
        """Deletes the file.

        Raises:
            BoardError: It cannot be deleted.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise BoardError(f"{self.path} cannot be removed ({error.strerror}); run as root") from error

    def make_folder(self) -> None:
        """Creates the folder of the file.

        Raises:
            BoardError: It cannot be created, or other users could redirect root's writes there.
        """
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise BoardError(f"{self.path.parent} cannot be created ({error.strerror}); run as root") from error

    def _read_text(self) -> str:
        try:
            return read_bounded(self.path, _MAX_BYTES, follow_links=False).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except PermissionError as error:
            raise BoardError(f"{self.path} cannot be read ({error.strerror}); run as root") from error
        except OSError as error:
            fix = "remove it; a reboot unlocks the clocks"
            raise BoardError(f"{self.path} cannot be read ({error.strerror}); {fix}") from error

    def _usable(self, text: str) -> dict[str, str]:
        """Returns the values of the lines that `--restore` should write back.

        jetson_clocks stores more than it changes. `online` of each core belongs to the power mode, which may be another
        one by then. Of the fan it stores whether nvfancontrol runs: at boot that may not run yet, and a restore would
        stop it. The fan's line is outside sysfs.
        """
        lines = (_LINE.fullmatch(line) for line in text.splitlines())
        values = {found[1]: found[2] for found in lines if found}
        root = f"{self._sysfs}/"
        return {
            path: value
            for path, value in values.items()
            if path.startswith(root) and "/../" not in path and not path.endswith("/online")
        }

    def _read_changed(self) -> dict[str, str]:
        """Reads what jetson_clocks changes, in case that it did not store all of it."""
        paths = (path for pattern in _CHANGED for path in sorted(self._sysfs.glob(pattern)))
        wanted = (path for path in paths if not path.match("devfreq/*/min_freq") or _is_gpu(str(path)))
        return {str(path): value for path in wanted if (value := read_text(path)) is not None}

    def _is_locked(self, path: str, value: str) -> bool:
        """Whether the value is the one that jetson_clocks writes there."""
        file = Path(path)
        if file.name in ("min_freq", _CPU_MIN):
            highest = read_text(file.with_name(file.name.replace("min", "max")))
            return highest is not None and value.isdecimal() and highest.isdecimal() and int(value) >= int(highest)
        relative = Path(path.removeprefix(f"{self._sysfs}/"))
        return any(value == locked for pattern, locked in _CHANGED.items() if relative.match(pattern))

    def _write(self, values: Mapping[str, str]) -> None:
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            new.unlink(missing_ok=True)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(_lines(values))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as error:
            raise BoardError(f"{self.path} cannot be written ({error.strerror}); run as root") from error


def _lines(values: Mapping[str, str]) -> Iterator[str]:
    for path, value in values.items():
        yield f"{path}:{value}\n"


def _is_gpu(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name == "min_freq" and _GPU_NAME.search(folder.rpartition("/")[2]) is not None

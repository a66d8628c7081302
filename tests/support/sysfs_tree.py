"""Writes the sysfs files of a board into a folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from ishowtts.board.sysfs import SysfsBoard


class Tree:
    """The files of a listing under `root`. A context manager, because files that answer EAGAIN must be kept open.

    Args:
        root: The folder for `sys`, `proc`, `etc` and `var`.
        listing: JSON from path to content.
    """

    def __init__(self, root: Path, listing: Path) -> None:
        self.root = root
        self._held: list[int] = []
        for path, content in json.loads(listing.read_text(encoding="utf-8")).items():
            if content == {"error": "EAGAIN"}:
                self.switch_off(path)
            else:
                self.write(path, content)

    def write(self, path: str, content: str) -> None:
        """Creates or replaces a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def switch_off(self, path: str) -> None:
        """Makes reading this file fail with EAGAIN: it becomes a pipe that is kept open and never written to."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        os.mkfifo(file)
        self._held.append(os.open(file, os.O_RDWR))

    def fail(self, path: str, how: str) -> None:
        """Makes this file `missing`, or makes reading it fail with EAGAIN, EIO or EISDIR, also for root."""
        file = self.root / path
        if how == "EAGAIN":
            self.switch_off(path)
            return
        file.unlink()
        if how == "EIO":
            file.symlink_to("/proc/self/mem")  # nothing is mapped at address 0
        elif how == "EISDIR":
            file.mkdir()

    def restore(self, path: str, content: str) -> None:
        """Replaces whatever `fail` made by a file again."""
        file = self.root / path
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        self.write(path, content)

    def board(self, clock: Callable[[], float] = time.monotonic) -> SysfsBoard:
        """Returns the sensor reader on this tree."""
        return SysfsBoard(self.root / "sys", self.root / "proc", self.root / "etc", self.root / "var", clock=clock)

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._held:
            os.close(handle)

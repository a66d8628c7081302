"""Fills disks."""

from __future__ import annotations

import os
from pathlib import Path


def fill(disk: Path) -> Path:
    """Fills a disk to the last byte. Returns the file that does it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 512, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return filler

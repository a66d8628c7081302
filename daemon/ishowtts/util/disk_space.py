"""Checks the free disk space for what the appliance writes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskSpace:
    """The free space of the file system that holds a folder.

    Args:
        place: The folder. It does not need to exist yet.
        min_free_mb: Less free space than this is a shortage; 0 never is.
    """

    place: Path
    min_free_mb: int

    def shortage(self) -> str | None:
        """Returns a sentence if too little space is free; `None` if there is enough or the space is unknown."""
        place = next((folder for folder in (self.place, *self.place.parents) if folder.is_dir()), None)
        if place is None:
            return None
        try:
            free_mb = shutil.disk_usage(place).free / 1e6
        except OSError:
            return None
        if free_mb >= self.min_free_mb:
            return None
        # Without the present figure: it would change, and publish, the state with each megabyte.
        return f"less than {self.min_free_mb} MB are free in {place} (limits.min_free_mb): make room"

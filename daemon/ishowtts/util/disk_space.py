"""How much room there is for what the appliance writes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskSpace:
    """Watches the file system of the state.

    Args:
        place: a folder, which need not be there yet.
        min_free_mb: below this there is a shortage; 0: never.
    """

    place: Path
    min_free_mb: int

    def shortage(self) -> str | None:
        """A sentence where there is too little room; lines are the last to give way. `None`: enough, or unknown."""
        place = next((folder for folder in (self.place, *self.place.parents) if folder.is_dir()), None)
        if place is None:
            return None
        try:
            free_mb = shutil.disk_usage(place).free / 1e6
        except OSError:
            return None
        if free_mb >= self.min_free_mb:
            return None
        # Without the figure, which would make another state of each megabyte.
        return f"less than {self.min_free_mb} MB are free in {place} (limits.min_free_mb): make room"

"""Checks the free disk space for what the appliance writes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass
class DiskSpace:
    """The free space of the file system that holds a folder.

    Args:
        place: The folder. It does not need to exist yet.
        min_free_mb: Less free space than this is a shortage; 0 never is. It may change.
    """

    place: Path
    min_free_mb: int

    def free_mb(self) -> float | None:
        """Returns the free space in MB; `None` if it is unknown."""
        place = self._existing()
        return None if place is None else _free_mb(place)

    def shortage(self, spare_mb: float = 0.0) -> str | None:
        """Returns a sentence if too little space is free; `None` if there is enough or the space is unknown.

        Args:
            spare_mb: Free space that is wanted in addition to `min_free_mb`.
        """
        place = self._existing()
        free_mb = None if place is None else _free_mb(place)
        if free_mb is None or self.min_free_mb == 0 or free_mb >= self.min_free_mb + spare_mb:
            return None
        # Without the present figure: it would change, and publish, the state with each megabyte.
        return f"less than {self.min_free_mb} MB are free in {place} (limits.min_free_mb); make room"

    def _existing(self) -> Path | None:
        return next((folder for folder in (self.place, *self.place.parents) if folder.is_dir()), None)


def _free_mb(place: Path) -> float | None:
    try:
        return shutil.disk_usage(place).free / 1e6
    except OSError:
        return None

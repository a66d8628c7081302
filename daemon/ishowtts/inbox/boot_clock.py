"""The two times of the inbox: one to print, one to measure ages with."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone
from pathlib import Path


class BootClock:
    """Wall time jumps (a board without a battery starts in 1970), so ages come from the time since boot.

    Attributes:
        boot_id: names the boot that `since_boot_s` counts from. Where the kernel hides it, each process
            counts as a boot of its own: then no age is ever too long.
    """

    def __init__(self) -> None:
        try:
            self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            self.boot_id = uuid.uuid4().hex

    def wall_s(self) -> float:
        """Seconds since 1970, as far as the machine knows."""
        return time.time()

    def since_boot_s(self) -> float:
        """Seconds since the boot, sleep included; never jumps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def ts(self) -> str:
        """Now, as events show it: UTC in ISO 8601 with milliseconds."""
        now = datetime.fromtimestamp(self.wall_s(), timezone.utc)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

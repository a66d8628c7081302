"""Times of the queue: wall time to print, time since the boot for ages, and how ages survive a boot."""

from __future__ import annotations

import math
import sqlite3
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

from ishowtts.inbox.database import remember

_MOST_S = 1e9  # no machine runs so long


class BootClock:
    """Measures ages in time since the boot, because wall time jumps: a board without a battery starts in 1970.

    Attributes:
        boot_id: Names the boot that `since_boot_s` counts from. If the kernel hides it, each process counts as a boot
            of its own. Then no age is ever too long.
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
        """Wall time as events show it: UTC in ISO 8601 with milliseconds."""
        now = datetime.fromtimestamp(self.wall_s(), timezone.utc)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def move_to_this_boot(db: sqlite3.Connection, clock: BootClock) -> None:
    """After a boot, let the ages of all lines go on from where they were when the last boot was last seen.

    Nobody knows how long the machine was off: its wall clock may still be wrong. If the last time cannot be read, the
    ages are unknown and count from now on. The caller commits.
    """
    now_s = clock.since_boot_s()
    seen = dict(db.execute("SELECT key, value FROM settings WHERE key IN ('.boot_id', '.seen_s')").fetchall())
    if seen.get(".boot_id") != clock.boot_id:
        seen_s = _seconds(seen.get(".seen_s"))
        if seen_s is not None:
            shift_s = now_s - seen_s
            db.execute("UPDATE lines SET born_s = born_s + ?, deadline_s = deadline_s + ?", (shift_s, shift_s))
        else:
            db.execute("UPDATE lines SET born_s = ?, deadline_s = deadline_s - born_s + ?", (now_s, now_s))
    # No line was born later than now.
    db.execute(
        "UPDATE lines SET born_s = :now, deadline_s = deadline_s - born_s + :now WHERE born_s > :now", {"now": now_s}
    )
    remember(db, ".boot_id", clock.boot_id)
    remember(db, ".seen_s", repr(now_s))


def _seconds(stored: str | None) -> float | None:
    try:
        seconds = float(stored or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds < _MOST_S else None

"""Quiet hours, by the clock on the wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ishowtts.config.policy_section import QuietHoursSection

_EARLIEST_YEAR = 2025


@dataclass(frozen=True)
class QuietHours:
    """Quiet hours hold for `low` and `normal` lines.

    Attributes:
        until: the local time at which they end, as in `07:00`.
        volume: speak no louder than this; `None`: these lines wait.
    """

    until: str
    volume: int | None


def quiet_at(hours: QuietHoursSection, wall: datetime) -> QuietHours | None:
    """What holds at this local time. A board without a battery wakes up in 1970: such a clock makes nothing quiet."""
    start, end = hours.from_, hours.to
    if start is None or end is None or wall.year < _EARLIEST_YEAR:
        return None
    now = f"{wall.hour:02}:{wall.minute:02}"
    inside = start <= now < end if start < end else now >= start or now < end
    return QuietHours(end, hours.volume if hours.action == "quieter" else None) if inside else None

"""Quiet hours, by local time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ishowtts.config.policy_section import QuietHoursSection

_EARLIEST_YEAR = 2025


@dataclass(frozen=True)
class QuietHours:
    """Quiet hours that are in force, for `low` and `normal` lines.

    Attributes:
        until: Local time at which they end, such as `07:00`.
        volume: Lines are spoken no louder than this; `None` if they wait.
    """

    until: str
    volume: int | None


def active_quiet_hours(section: QuietHoursSection, local_time: datetime) -> QuietHours | None:
    """The quiet hours in force at a local time; `None` if there are none.

    A board without a battery starts in 1970: a clock before 2025 is wrong and makes nothing quiet.
    """
    start, end = section.from_, section.to
    if start is None or end is None or local_time.year < _EARLIEST_YEAR:
        return None
    now = f"{local_time.hour:02}:{local_time.minute:02}"
    inside = start <= now < end if start < end else now >= start or now < end
    return QuietHours(end, section.volume if section.action == "quieter" else None) if inside else None

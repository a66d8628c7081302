"""Quiet hours, by local time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ishowtts.config.policy_section import QuietHoursSection

_EARLIEST_YEAR = 2025
_DAY_S = 86_400


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


def held_s(section: QuietHoursSection, waits_s: float, local_time: Callable[[], datetime] = datetime.now) -> float:
    """How long quiet hours hold a `low` or `normal` line before it has waited for `waits_s` seconds outside of them.

    A change between summer and winter time on the way is not counted.

    Returns:
        Seconds; 0 if no quiet hours come before. With `waits_s` 0: the rest of those in force.
    """
    now = local_time()
    start, end = section.from_, section.to
    if start is None or end is None or section.action != "wait" or now.year < _EARLIEST_YEAR:
        return 0.0
    now_s = _of_day_s(now.hour, now.minute) + now.second + now.microsecond / 1e6
    start_s, end_s = (_of_day_s(*map(int, time.split(":"))) for time in (start, end))
    quiet_s = (end_s - start_s) % _DAY_S
    since_start_s = (now_s - start_s) % _DAY_S
    if since_start_s < quiet_s:
        nights = int(waits_s // (_DAY_S - quiet_s))
        return quiet_s - since_start_s + nights * quiet_s
    until_start_s = _DAY_S - since_start_s
    if waits_s <= until_start_s:
        return 0.0
    return float((1 + int((waits_s - until_start_s) // (_DAY_S - quiet_s))) * quiet_s)


def _of_day_s(hour: int, minute: int) -> int:
    return hour * 3600 + minute * 60

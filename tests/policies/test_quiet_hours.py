from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ishowtts.policies import QuietHours


def at(time: str, day: str = "2026-11-21") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}")


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("from: 22:00, to: 7:00", ["22:00", "23:59:59", "00:00", "06:59:59"], ["07:00", "12:00", "21:59:59"]),
        ("from: 13:00, to: 15:00", ["13:00", "14:59:59"], ["15:00", "12:59:59", "00:00", "23:59"]),
        ("from: 00:00, to: 23:59", ["00:00", "23:58:59"], ["23:59"]),
    ],
)
def test_quiet_hours_include_their_start_and_exclude_their_end(make, hours, quiet, loud) -> None:
    policies = make(f"{{quiet: {{{hours}}}}}")
    for time in quiet:
        assert policies.quiet_hours(at(time)) is not None, time
    for time in loud:
        assert policies.quiet_hours(at(time)) is None, time


def test_lines_wait_or_have_a_maximum_volume(make) -> None:
    night = "from: 22:00, to: 07:00"
    assert make(f"{{quiet: {{{night}}}}}").quiet_hours(at("23:00")) == QuietHours("07:00", None)
    assert make(f"{{quiet: {{{night}, action: quieter}}}}").quiet_hours(at("23:00")) == QuietHours("07:00", 30)
    assert make(f"{{quiet: {{{night}, action: quieter, volume: 0}}}}").quiet_hours(at("23:00")) == QuietHours(
        "07:00", 0
    )


def test_without_quiet_hours_no_time_is_quiet(make) -> None:
    assert make().quiet_hours(at("23:00")) is None


def test_a_clock_before_2025_is_never_quiet(make) -> None:
    policies = make("{quiet: {from: 22:00, to: 07:00}}")
    assert policies.quiet_hours(at("23:00", "1970-01-01")) is None
    assert policies.quiet_hours(at("23:00", "2024-12-31")) is None
    assert policies.quiet_hours(at("23:00", "2025-01-01")) is not None


def test_quiet_hours_are_in_local_time_in_any_time_zone(make) -> None:
    policies = make("{quiet: {from: 22:00, to: 07:00}}")
    assert policies.quiet_hours(datetime(2026, 1, 1, 23, tzinfo=timezone(timedelta(hours=9)))) is not None
    assert policies.quiet_hours(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))) is None

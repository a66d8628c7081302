from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.config.policy_section import QuietHoursSection
from ishowtts.policies import QuietHours
from ishowtts.policies.quiet_hours import active_quiet_hours, held_s


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


MINUTE_S, HOUR_S = 60, 3600


def section(start: str, end: str, **more: str) -> QuietHoursSection:
    return QuietHoursSection.model_validate({"from": start, "to": end, **more})


@pytest.mark.parametrize(
    ("hours", "now", "waits_s", "held"),
    [
        (("22:00", "07:00"), "12:00", 900, 0),
        (("22:00", "07:00"), "21:45", 900, 0),  # it expires as they begin
        (("22:00", "07:00"), "21:50", 900, 9 * HOUR_S),
        (("22:00", "07:00"), "22:00", 900, 9 * HOUR_S),
        (("22:00", "07:00"), "23:59:59", 900, 7 * HOUR_S + 1),
        (("22:00", "07:00"), "00:00", 900, 7 * HOUR_S),
        (("22:00", "07:00"), "06:59:30", 900, 30),
        (("22:00", "07:00"), "07:00", 900, 0),
        (("22:00", "07:00"), "23:00", 0, 8 * HOUR_S),
        (("22:00", "07:00"), "12:00", 0, 0),
        (("22:00", "07:00"), "12:00", 24 * HOUR_S, 9 * HOUR_S),
        (("22:00", "07:00"), "12:00", 25 * HOUR_S + 1, 18 * HOUR_S),
        (("22:00", "07:00"), "23:00", 15 * HOUR_S, 17 * HOUR_S),
        (("13:00", "15:00"), "12:50", 900, 2 * HOUR_S),
        (("13:00", "15:00"), "14:00", 900, HOUR_S),
        (("13:00", "15:00"), "15:00", 900, 0),
        (("00:00", "23:59"), "12:00", 30, 12 * HOUR_S - MINUTE_S),
    ],
)
def test_the_time_in_quiet_hours_before_a_line_has_waited_long_enough(hours, now, waits_s, held) -> None:
    assert held_s(section(*hours), waits_s, lambda: at(now)) == held


def test_no_line_is_held_without_quiet_hours_or_if_they_are_quieter_or_the_clock_is_wrong() -> None:
    night = at("23:00")
    assert held_s(QuietHoursSection(), 900, lambda: night) == 0
    assert held_s(section("22:00", "07:00", action="quieter"), 900, lambda: night) == 0
    assert held_s(section("22:00", "07:00"), 900, lambda: at("23:00", "1970-01-01")) == 0


times = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@settings(deadline=None, max_examples=60)
@given(start=times, end=times, now=times, waits_min=st.integers(0, 3000))
def test_a_held_line_has_waited_long_enough_outside_of_quiet_hours(start, end, now, waits_min) -> None:
    if start == end:
        return
    hours, began = section(start, end), at(now)
    lasts_min = waits_min + int(held_s(hours, waits_min * 60, lambda: began) / 60)
    minutes = (began + timedelta(minutes=i) for i in range(min(lasts_min, 50_000)))
    waited_min = sum(active_quiet_hours(hours, minute) is None for minute in minutes)
    assert waited_min == waits_min or lasts_min > 50_000

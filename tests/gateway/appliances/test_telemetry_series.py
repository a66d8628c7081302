"""The telemetry of the last hour, as columns."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts_gateway.appliances.telemetry_series import COLUMNS, TelemetrySeries

TELEMETRY = {
    "gpu": {"clock_mhz": 918.0, "clock_max_mhz": 1020, "temp_c": 51.5, "load_pct": None},
    "cpu": {"temp_c": 49, "load_pct": 12.5},
    "board": {"power_w": 11.25},
    "memory": {"used_mb": 5120},
    "speech": {"queue_depth": 3},
}


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now_s = 500.0
        self.jump_s = 1_800_000_000.0

    def series(self) -> TelemetrySeries:
        return TelemetrySeries(lambda: self.now_s, lambda: self.now_s + self.jump_s)


def test_a_message_becomes_a_point() -> None:
    clock = Clock()
    series = clock.series()
    point = series.add(TELEMETRY)
    assert point == {
        "t": 1_800_000_500.0, "gpu_mhz": 918.0, "gpu_max_mhz": 1020, "gpu_c": 51.5, "cpu_c": 49, "gpu_load_pct": None,
        "cpu_load_pct": 12.5, "power_w": 11.25, "queue_depth": 3, "memory_used_mb": 5120,
    }  # fmt: skip
    assert series.points() == [list(point.values())]
    assert tuple(point) == COLUMNS


def test_an_hour_is_kept_and_the_wall_clock_may_jump() -> None:
    clock = Clock()
    series = clock.series()
    for _ in range(1000):
        series.add(TELEMETRY)
        clock.now_s += 5
    points = series.points()
    assert len(points) == 3600 / 5
    assert points[-1][0] == 1_800_000_000.0 + clock.now_s - 5
    clock.jump_s -= 1e8
    assert series.points()[-1][0] == 1_700_000_000.0 + clock.now_s - 5


@pytest.mark.parametrize("interval_s", [0.1, 0.5, 1.0, 1.9])
def test_a_flood_does_not_displace_the_hour(interval_s: float) -> None:
    clock = Clock()
    series = clock.series()
    series.add(TELEMETRY)
    while clock.now_s < 500 + 600:
        clock.now_s += interval_s
        series.add({"speech": {"queue_depth": clock.now_s}})
    points = series.points()
    assert (points[0][1], points[-1][COLUMNS.index("queue_depth")]) == (918, clock.now_s)
    assert 600 / 4 < len(points) <= 600 / 2 + 2


@pytest.mark.parametrize(
    "hostile",
    [
        {}, {"gpu": []}, {"gpu": "hot"}, {"gpu": None}, {"gpu": {"clock_mhz": "918"}}, {"gpu": {"clock_mhz": True}},
        {"gpu": {"clock_mhz": float("nan")}}, {"gpu": {"clock_mhz": 10**400}}, {"gpu": {"clock_mhz": float("inf")}},
        {"gpu": {"clock_mhz": [918]}},
    ],
)  # fmt: skip
def test_what_is_no_reading_is_unknown(hostile: dict[str, Any]) -> None:
    clock = Clock()
    series = clock.series()
    assert list(series.add(hostile).values())[1:] == [None] * 9
    assert series.points()[0][1:] == [None] * 9

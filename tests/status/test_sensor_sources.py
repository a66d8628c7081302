"""`info` is published again if the sources of the readings change."""

from __future__ import annotations

from ishowtts.status.sensor_sources import SensorSources
from support.clock import Clock


def test_info_follows_the_sources_and_not_more_often_than_every_30_s() -> None:
    clock = Clock()
    found = {"power_w": "sysfs"}
    published: list[tuple[float, dict[str, str]]] = []
    next_sources: dict[str, str] = {}

    def compose() -> dict[str, int]:
        found.update(next_sources)
        return {"ts": 1}

    watched = SensorSources(compose, lambda: dict(found), lambda: published.append((clock.now_s, dict(found))), clock)
    assert watched.compose() == {"ts": 1}
    assert published == [], "the first info has them already"
    next_sources["gpu_load_pct"] = "nvml"
    for clock.now_s in (1005.0, 1010.0, 1015.0):
        watched.compose()
    assert published == [(1005.0, {"power_w": "sysfs", "gpu_load_pct": "nvml"})]
    next_sources["gpu_load_pct"] = "jetson-stats"
    for clock.now_s in (1020.0, 1034.0, 1035.0, 1040.0, 1100.0):
        watched.compose()
    assert published[1:] == [(1035.0, {"power_w": "sysfs", "gpu_load_pct": "jetson-stats"})]


def test_a_source_that_came_with_the_first_telemetry_is_published() -> None:
    found: dict[str, str] = {}
    published: list[dict[str, str]] = []

    def compose() -> dict[str, int]:
        found["gpu_load_pct"] = "nvml"
        return {}

    SensorSources(compose, lambda: dict(found), lambda: published.append(dict(found))).compose()
    assert published == [{"gpu_load_pct": "nvml"}]

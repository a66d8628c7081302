"""What /metrics exports of a directory that got messages: names, units, labels, and nothing that is not known."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ishowtts.model import AlertName
from ishowtts_gateway.appliances.appliance_directory import MAX_DEVICES, ApplianceDirectory
from ishowtts_gateway.metrics.appliance_counts import BOARD_TOTALS, DAEMON_TOTALS
from ishowtts_gateway.metrics.appliance_readings import TELEMETRY_GAUGES
from ishowtts_gateway.metrics.prometheus_metrics import Metrics, content_type
from support.payload_check import schemas

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
TELEMETRY: dict[str, Any] = {
    "ts": "2026-11-20T10:15:00.000Z",
    "uptime_s": 900.5,
    "gpu": {"clock_mhz": 1300.5, "clock_max_mhz": 1301, "clock_locked": True, "load_pct": 33, "temp_c": 55.5},
    "cpu": {"load_pct": 3, "temp_c": 50},
    "board": {"power_w": 12.5, "fan_pct": 10, "throttle_events": 3, "throttled": False, "model": "Orin"},
    "memory": {
        "used_mb": 1000,
        "total_mb": 8000.5,
        "process_mb": 100,
        "worker_mb": 2000,
        "gpu_mb": 900,
        "gpu_graphs_mb": 120,
    },
    "speech": {"audio_s_total": 10.5, "cache_hits": 1, "queue_depth": 2},
    "engine": {"unbucketed": 0},
    "engines": [{"name": "f5", "state": "ready", "restarts": 0}, {"name": "espeak", "state": "parked", "restarts": 0}],
    "audio": {"underruns": 0, "device_losses": 0, "lateness_max_s": 0.1},
    "mqtt": {"connected": True, "reconnects": 1},
    "renders": {"active": 1, "waiting": 2, "done": 5, "failed": 1, "cancelled": 3},
}
STATE = {
    "state": "speaking", "engine": "f5", "queue_depth": 2, "speaking": {"id": "1", "text": "Soup"}, "paused": False,
    "muted": False, "audible": True,
}  # fmt: skip
FINISHED = {
    "event": "finished", "id": "1", "ts": "2026-11-20T10:15:00.000Z", "engine": "f5", "cached": False, "rtf": 0.25,
    "ttfa_s": 0.4, "queue_s": 1.5, "audible": True, "text": "The secret soup", "author": "Bob", "voice": "anna",
}  # fmt: skip


class Gateway:
    """A directory, its metrics, and what a scrape of them finds."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.directory = ApplianceDirectory("ishowtts", names)
        self.metrics = Metrics(self.directory)
        self.directory.set_broker(True, None)

    def publish(self, topic: str, payload: Any, *, retained: bool = False) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.directory.apply(f"ishowtts/{topic}", body, retained=retained)

    def start(self, name: str = "kitchen") -> None:
        """An appliance that is online, has spoken, and has told everything."""
        self.publish(f"{name}/availability", b"online", retained=True)
        self.publish(f"{name}/state", STATE, retained=True)
        self.publish(f"{name}/volume", 60, retained=True)
        for alert in AlertName:
            self.publish(f"{name}/alert/{alert.value}", {"active": alert == AlertName.HOT}, retained=True)
        self.publish(f"{name}/telemetry", TELEMETRY)
        self.publish(f"{name}/event", FINISHED)

    def scrape(self) -> dict[str, float]:
        """The value of each series, by its name and labels, as in `ishowtts_up{device="kitchen"}`."""
        return {
            sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.metrics.render().decode())
            for sample in family.samples
        }

    def of(self, name: str) -> set[str]:
        """The series of one appliance."""
        return {key for key in self.scrape() if f" device={name}" in key}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_units_are_base_units(gateway: Gateway) -> None:
    gateway.start()
    found = gateway.scrape()
    assert {
        "ishowtts_gpu_clock_hertz device=kitchen": 1_300_500_000,
        "ishowtts_temperature_celsius device=kitchen sensor=gpu": 55.5,
        "ishowtts_load_ratio device=kitchen sensor=gpu": 0.33,
        "ishowtts_power_watts device=kitchen": 12.5,
        "ishowtts_memory_size_bytes device=kitchen": 8_000_500_000,
        "ishowtts_volume_ratio device=kitchen": 0.6,
        "ishowtts_gpu_clock_locked device=kitchen": 1,
        "ishowtts_throttled device=kitchen": 0,
        "ishowtts_telemetry_timestamp_seconds device=kitchen": 1_795_169_700,
        "ishowtts_queue_lines device=kitchen": 2,
        "ishowtts_speaking device=kitchen": 1,
        "ishowtts_state device=kitchen state=speaking": 1,
        "ishowtts_state device=kitchen state=ready": 0,
        "ishowtts_leading_engine_info device=kitchen engine=f5": 1,
        "ishowtts_engine_ready device=kitchen engine=f5": 1,
        "ishowtts_engine_ready device=kitchen engine=espeak": 0,
        "ishowtts_alert_active alert=hot device=kitchen": 1,
        "ishowtts_alert_active alert=deaf device=kitchen": 0,
        "ishowtts_lines_total device=kitchen outcome=finished": 1,
        "ishowtts_rtf_ratio_bucket device=kitchen engine=f5 le=0.2": 0,
        "ishowtts_rtf_ratio_bucket device=kitchen engine=f5 le=0.3": 1,
        "ishowtts_time_to_first_sound_seconds_sum device=kitchen engine=f5": 0.4,
        "ishowtts_queue_time_seconds_sum device=kitchen": 1.5,
        "ishowtts_up device=kitchen": 1,
        "ishowtts_broker_connected": 1,
        "ishowtts_gateway_devices": 1,
    }.items() <= found.items()  # fmt: skip


def test_nothing_of_a_payload_is_in_a_label(gateway: Gateway) -> None:
    gateway.start()
    gateway.publish("kitchen/event", {**FINISHED, "id": "<b>", "engine": "evil\n", "reason": "evil"})
    gateway.publish("kitchen/state", {**STATE, "state": "evil", "engine": "evil"})
    gateway.publish("kitchen/alert/evil", {"active": True})
    gateway.publish(
        "kitchen/telemetry", {**TELEMETRY, "engines": [{"name": "evil", "state": "ready", "restarts": 1}] * 3}
    )
    text = gateway.metrics.render().decode()
    for word in ("evil", "soup", "Bob", "anna", "Orin"):
        assert word not in text
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for key, value in sample.labels.items():
                if sample.name.startswith("ishowtts_"):
                    labels.setdefault(key, set()).add(value)
    assert set(labels) == {"device", "engine", "outcome", "alert", "sensor", "le", "version"}
    assert labels["engine"] == {"f5", "espeak", "other"}


def test_an_unknown_value_has_no_series(gateway: Gateway) -> None:
    gateway.start()
    everything = gateway.of("kitchen")
    unknown = {
        part: dict.fromkeys(values) if isinstance(values, dict) else values for part, values in TELEMETRY.items()
    }
    gateway.publish("kitchen/telemetry", unknown)
    gone = everything - gateway.of("kitchen")
    assert len(gone) == len(TELEMETRY_GAUGES) - 1, "all except uptime"
    assert not [key for key in gone if "_total" in key or "_bucket" in key], "a counter keeps its value"
    gateway.publish("kitchen/state", b"")
    gateway.publish("kitchen/volume", b"")
    gateway.publish("kitchen/alert/hot", b"")
    assert {"ishowtts_volume_ratio device=kitchen", "ishowtts_queue_lines device=kitchen",
            "ishowtts_alert_active alert=hot device=kitchen"} <= everything - gateway.of("kitchen")  # fmt: skip


def test_of_an_appliance_that_is_offline_only_that_and_its_counters_are_known(gateway: Gateway) -> None:
    gateway.start()
    gateway.publish("kitchen/availability", b"offline")
    found = gateway.scrape()
    assert found["ishowtts_up device=kitchen"] == 0
    gauges = {key.split(" ")[0] for key in gateway.of("kitchen")} - {"ishowtts_up"}
    assert {name for name in gauges if not name.endswith(("_total", "_bucket", "_sum", "_count"))} == {
        "ishowtts_alert_active",
    }, "it still sends telemetry, so its alerts are known: it may be deaf"
    gateway.metrics._counts["kitchen"]._published_s = -1e9
    assert not [key for key in gateway.of("kitchen") if "alert" in key]


def test_a_reading_is_known_for_three_intervals_of_telemetry(gateway: Gateway) -> None:
    gateway.start()
    gateway.publish("kitchen/info", {"telemetry_s": 100})
    counts = gateway.metrics._counts["kitchen"]
    assert counts._published_s is not None
    counts._published_s -= 299
    assert "ishowtts_power_watts device=kitchen" in gateway.of("kitchen")
    counts._published_s -= 2
    assert "ishowtts_power_watts device=kitchen" not in gateway.of("kitchen")
    on_change = {"ishowtts_queue_lines device=kitchen", "ishowtts_alert_active alert=hot device=kitchen"}
    assert on_change <= gateway.of("kitchen"), "state and alerts are retained, and come on change"


def test_without_the_broker_nothing_is_known_of_appliances_except_what_was_counted(gateway: Gateway) -> None:
    gateway.start()
    gateway.directory.set_broker(False, "the broker is away")
    found = gateway.scrape()
    assert found["ishowtts_broker_connected"] == 0
    assert "ishowtts_up device=kitchen" not in found
    assert found["ishowtts_lines_total device=kitchen outcome=finished"] == 1
    assert "ishowtts_queue_lines device=kitchen" not in found


def test_an_appliance_that_never_appeared_has_no_series_except_zero_counts() -> None:
    gateway = Gateway(["kitchen"])
    assert not [key for key in gateway.of("kitchen") if "_total" not in key and "queue_time" not in key]


def test_an_appliance_that_is_gone_loses_all_its_series(gateway: Gateway) -> None:
    gateway.start("kitchen")
    gateway.start("hall")
    for topic in (
        "availability",
        "state",
        "info",
        "volume",
        "telemetry",
        *(f"alert/{alert.value}" for alert in AlertName),
    ):
        gateway.publish(f"kitchen/{topic}", b"")
    assert gateway.of("kitchen") == set()
    assert gateway.of("hall")
    assert set(gateway.metrics._counts) == {"hall"}


def test_the_number_of_appliances_is_bounded_even_if_nobody_scrapes(gateway: Gateway) -> None:
    for number in range(2 * MAX_DEVICES):
        gateway.publish(f"d{number}/availability", b"offline")
        gateway.publish(f"d{number}/telemetry", TELEMETRY)
        gateway.publish(f"d{number}/event", FINISHED)
        if number % 2:
            gateway.publish(f"d{number}/availability", b"")
            gateway.publish(f"d{number}/telemetry", b"")
    assert len(gateway.metrics._counts) <= MAX_DEVICES


def test_every_number_of_telemetry_that_the_page_lists_is_read(gateway: Gateway) -> None:
    """A path that is misspelled would be unknown for ever: each must be in the schema."""
    properties = schemas()["telemetry"]["properties"]
    for part, *rest in [each.path for each in TELEMETRY_GAUGES] + [*DAEMON_TOTALS.values(), *BOARD_TOTALS.values()]:
        assert not rest or rest[0] in properties[part]["properties"], (part, rest)


NONSENSE: list[Any] = [
    None, True, -1, 1e300, 2**70, "", "9", "\ud800", "x" * 5000, [], [[]], {}, {"": {}}, ["f5", {"name": ["f5"]}],
]  # fmt: skip


def replaced(value: Any, leaf: Any) -> Any:
    """An object with a leaf in the place of all its values."""
    return {key: replaced(each, leaf) if isinstance(each, dict) else leaf for key, each in value.items()}


@pytest.mark.parametrize("leaf", NONSENSE, ids=lambda value: repr(value)[:20])
def test_nonsense_makes_no_series_and_no_fault(gateway: Gateway, leaf: Any) -> None:
    gateway.start()
    names = {key.partition(" ")[0] for key in gateway.scrape()}
    for topic, payload in {"telemetry": TELEMETRY, "state": STATE, "event": FINISHED}.items():
        for value in (replaced(payload, leaf), dict.fromkeys(payload, leaf), leaf):
            gateway.publish(f"kitchen/{topic}", value)
    for topic in ("info", "volume", "muted", "alert/hot", "availability"):
        gateway.publish(f"kitchen/{topic}", leaf)
        gateway.publish(f"kitchen/{topic}", {"telemetry_s": leaf, "active": leaf})
    gateway.publish("kitchen/telemetry", {"engines": [{"name": "f5", "state": leaf, "restarts": leaf}, leaf]})
    assert {key.partition(" ")[0] for key in gateway.scrape()} <= names | {"ishowtts_muted"}
    list(parse_openmetrics(gateway.metrics.render(OPENMETRICS).decode()))


def test_openmetrics_only_if_the_scraper_asks_for_it(gateway: Gateway) -> None:
    gateway.start()
    assert content_type(OPENMETRICS).startswith("application/openmetrics-text; version=1.0.0")
    text = gateway.metrics.render(OPENMETRICS).decode()
    assert text.endswith("# EOF\n")
    families = {family.name: family for family in parse_openmetrics(text)}
    assert families["ishowtts_lines"].type == "counter"
    assert families["ishowtts_gpu_clock_hertz"].unit == "hertz"
    for accept in (
        "",
        "*/*",
        "text/html",
        "application/json",
        "\x00;;,=q",
        "application/openmetrics-text; version=1.0.x",
    ):
        assert content_type(accept).startswith("text/plain; version=0.0.4")
        assert b"# EOF" not in gateway.metrics.render(accept)


def test_promtool_finds_no_fault(gateway: Gateway) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    gateway.start()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=gateway.metrics.render(), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")

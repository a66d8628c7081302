"""A daemon on a board with jetson-stats: its service is frozen and killed, and telemetry goes on without its values."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.jetson_stats import emulated_service, missing
from support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("jetson-stats")]

SETTINGS = {"board": {"source": "auto", "jetson_stats": True}}


def test_telemetry_and_speech_go_on_without_the_service(tmp_path: Path, broker: Broker) -> None:
    if reason := missing():
        pytest.skip(reason)
    with (
        emulated_service(tmp_path / "orin") as service,
        Appliance(tmp_path, broker, SETTINGS, quick_s=0.1, wrap=service.enter) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        service.start()
        appliance.wait_ready(client)
        client.subscribe(f"{appliance.root}/#")

        def last(name: str) -> Any:
            found = client.on(f"{appliance.root}/{name}")
            return found[-1].json if found else None

        def load_is(load_pct: float | None) -> bool:
            telemetry = last("telemetry")
            return telemetry is not None and telemetry["gpu"]["load_pct"] == load_pct

        eventually(lambda: load_is(42.3), "the load in telemetry")
        assert last("telemetry")["board"]["power_w"] == 9.5
        eventually(lambda: (last("info") or {}).get("sources", {}).get("gpu.load_pct") == "jetson-stats", "its source")
        service.signal(signal.SIGSTOP)
        eventually(lambda: load_is(None), "telemetry without the load")
        assert last("telemetry")["memory"]["used_mb"] > 0
        service.kill()
        before = len(client.on(f"{appliance.root}/telemetry"))
        assert appliance.final(client, appliance.say(client, "I am still here."))["event"] == "finished"
        eventually(lambda: len(client.on(f"{appliance.root}/telemetry")) > before + 1, "more telemetry")
        assert load_is(None)
        assert "there are no readings from jetson-stats" in appliance.log
        assert appliance.stop() == 0

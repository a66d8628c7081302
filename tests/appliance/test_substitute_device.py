"""The daemon plays on a substitute device while its sound device is away."""

from __future__ import annotations

from pathlib import Path

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client


def test_a_line_is_heard_on_the_other_device_and_the_state_says_why(
    tmp_path: Path, broker: Broker, mqtt_client: Client
) -> None:
    spare = tmp_path / "spare.wav"
    audio = {"device": "nosuch", "when_lost": f"wav:{spare}", "volume": 100}
    with Appliance(tmp_path, broker, {"audio": audio}) as appliance:
        appliance.wait_ready(mqtt_client, "degraded")
        said = appliance.say(mqtt_client, "Hello there.")
        final = appliance.final(mqtt_client, said)
        assert (final["event"], final["audible"], final["device"]) == ("finished", True, f"wav:{spare}")
        assert "the sound device nosuch is not there" in final["note"]
        (*_, state) = mqtt_client.on(f"{appliance.root}/state")
        assert "the sound device nosuch is not there" in state.json["detail"]
        assert f"wav:{spare} is used until it is back" in state.json["detail"]
        assert state.json["alerts"] == [], "lines are heard"
        mqtt_client.wait_for(
            f"{appliance.root}/telemetry", lambda message: message.json["audio"]["device"] == f"wav:{spare}"
        )
    assert spare.stat().st_size > 10_000

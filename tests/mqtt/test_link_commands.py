"""Commands come over their own connection, and only while we are connected."""

from __future__ import annotations

import pytest

from ishowtts.model import Command
from support.client import Client
from support.waiting import eventually


def test_commands_volumes_and_voices_reach_their_handlers(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/command", "stop")
    mqtt_client.publish("ishowtts/unit/command", {"command": "cancel", "id": "a", "transaction": "t"})
    mqtt_client.publish("ishowtts/unit/volume/set", "35")
    mqtt_client.publish("ishowtts/unit/voice/set", "anna")
    mqtt_client.publish("ishowtts/unit/voice/set", "null")
    eventually(lambda: len(link.recorder.voices) == 2)
    assert link.recorder.commands == [Command("stop"), Command("cancel", "a", "t")]
    assert link.recorder.volumes == [35]
    assert link.recorder.voices == ["anna", None]


def test_an_invalid_command_is_reported_with_its_transaction(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/command", {"command": "explode", "transaction": "t7"})
    mqtt_client.publish("ishowtts/unit/volume/set", "loud")
    eventually(lambda: len(link.recorder.faults) == 2)
    assert [transaction for _, transaction in link.recorder.faults] == ["t7", None]
    assert "explode" in link.recorder.faults[0][0]
    assert "0 to 100" in link.recorder.faults[1][0]


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_command_from_before_the_connection_is_not_executed(make_link, mqtt_client: Client, protocol: int) -> None:
    make_link(protocol=protocol).start().link.stop(10)
    mqtt_client.publish("ishowtts/unit/command", "stop", qos=1)
    mqtt_client.publish("ishowtts/unit/command", "mute", retain=True)
    mqtt_client.publish("ishowtts/unit/volume/set", "0", retain=True)
    link = make_link(protocol=protocol).start()
    mqtt_client.publish("ishowtts/unit/command", "resume")
    eventually(lambda: Command("resume") in link.recorder.commands)
    assert link.recorder.commands == [Command("resume")]
    assert link.recorder.volumes == []


def test_a_command_overtakes_unacknowledged_lines(make_link, mqtt_client: Client) -> None:
    link = make_link(receive_maximum=2).start()
    link.recorder.acknowledge = False
    for i in range(50):
        mqtt_client.publish("ishowtts/unit/say", f"line {i}")
    mqtt_client.publish("ishowtts/unit/command", "stop")
    eventually(lambda: link.recorder.commands == [Command("stop")])

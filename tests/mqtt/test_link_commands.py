"""Commands come over a connection of their own, and only while we are there to obey them."""

from __future__ import annotations

import pytest

from ishowtts.model import Command
from support.client import Client
from support.waiting import eventually


def test_commands_and_volume_are_handed_over(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/command", "stop")
    mqtt_client.publish("ishowtts/unit/command", {"command": "cancel", "id": "a", "transaction": "t"})
    mqtt_client.publish("ishowtts/unit/volume/set", "35")
    eventually(lambda: link.told.volumes)
    assert link.told.commands == [Command("stop"), Command("cancel", "a", "t")]
    assert link.told.volumes == [35]


def test_a_command_that_is_none_is_told_with_its_transaction(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/command", {"command": "explode", "transaction": "t7"})
    mqtt_client.publish("ishowtts/unit/volume/set", "loud")
    eventually(lambda: len(link.told.faults) == 2)
    assert [transaction for _, transaction in link.told.faults] == ["t7", None]
    assert "explode" in link.told.faults[0][0]
    assert "0 to 100" in link.told.faults[1][0]


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_command_from_before_we_came_is_not_obeyed(make_link, mqtt_client: Client, protocol: int) -> None:
    make_link(protocol=protocol).start().link.stop(10)
    mqtt_client.publish("ishowtts/unit/command", "stop", qos=1)
    mqtt_client.publish("ishowtts/unit/command", "mute", retain=True)
    mqtt_client.publish("ishowtts/unit/volume/set", "0", retain=True)
    link = make_link(protocol=protocol).start()
    mqtt_client.publish("ishowtts/unit/command", "resume")
    eventually(lambda: Command("resume") in link.told.commands)
    assert link.told.commands == [Command("resume")]
    assert link.told.volumes == []


def test_a_command_overtakes_lines_that_nobody_acknowledges(make_link, mqtt_client: Client) -> None:
    link = make_link(receive_maximum=2).start()
    link.told.acknowledge = False
    for i in range(50):
        mqtt_client.publish("ishowtts/unit/say", f"line {i}")
    mqtt_client.publish("ishowtts/unit/command", "stop")
    eventually(lambda: link.told.commands == [Command("stop")])

"""Commands come over their own connection, and only while we are connected."""

from __future__ import annotations

import pytest

from ishowtts.model import Command
from ishowtts.mqtt.history_payload import HistoryRequest
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


def test_a_request_for_the_history_brings_what_publishes_its_reply(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/reply/#")
    asked = {"command": "history", "limit": 5, "before": "9", "transaction": "t"}
    mqtt_client.publish("ishowtts/unit/command", asked, ResponseTopic="ishowtts/reply/a/1", CorrelationData=b"c")
    eventually(lambda: link.recorder.history)
    [(request, reply)] = link.recorder.history
    assert request == HistoryRequest(5, 9, "t")
    assert reply.max_bytes == 200_000
    assert reply.send(b"the reply", 5.0)
    came = mqtt_client.wait_for("ishowtts/reply/a/1")
    assert (came.payload, came.qos, came.retain, came.correlation) == (b"the reply", 1, False, b"c")
    link.link.stop(10)
    assert not reply.send(b"nobody sends it", 5.0)


def test_a_bad_request_for_the_history_has_a_reply_too(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    asked = {"command": "history", "limit": 1000, "transaction": "t"}
    mqtt_client.publish("ishowtts/unit/command", asked, ResponseTopic="ishowtts/reply/a")
    eventually(lambda: link.recorder.history)
    [(request, _)] = link.recorder.history
    assert request.transaction == "t"
    assert "from 1 to 100" in str(request.fault)


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (None, "publish it over MQTT 5 with a Response Topic under ishowtts/reply/"),
        ("elsewhere/1", "only under ishowtts/reply/"),
        ("ishowtts/reply/", "only under ishowtts/reply/"),
        ("ishowtts/unit/state", "only under ishowtts/reply/"),
        ("ishowtts/reply" + "/a" * 30, "more than 20 levels"),
    ],
)
def test_a_request_for_the_history_without_a_usable_response_topic_is_reported(
    make_link, mqtt_client: Client, topic: str | None, words: str
) -> None:
    link = make_link().start()
    properties = {} if topic is None else {"ResponseTopic": topic}
    asked = {"command": "history", "limit": 1000, "transaction": "t"}
    mqtt_client.publish("ishowtts/unit/command", asked, **properties)
    eventually(lambda: link.recorder.faults)
    [(sentence, transaction)] = link.recorder.faults
    assert words in sentence
    assert transaction == "t"
    assert link.recorder.history == []


def test_over_mqtt_3_the_history_cannot_be_asked_for(make_link, mqtt_client: Client) -> None:
    link = make_link(protocol=4).start()
    mqtt_client.publish("ishowtts/unit/command", "history", ResponseTopic="ishowtts/reply/a")
    eventually(lambda: link.recorder.faults)
    assert "set mqtt.protocol to 5" in link.recorder.faults[0][0]

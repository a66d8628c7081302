"""Voices come over a connection of their own, which delays nothing and stays away with the others."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ishowtts.model import BadVoiceRequest, VoicePart, VoiceRemoval, VoiceRequest
from ishowtts.mqtt.duplicate_guard import GuardTimeouts
from support.client import Client
from support.waiting import eventually

TOPIC = "ishowtts/unit/voice/anna/set"
REMOVAL = {"remove": True, "transaction": "t"}


@pytest.fixture
def start(make_link, mqtt_client: Client) -> Callable[..., object]:
    """`start(protocol=4, …)`: a link that takes voices, once its connection for them is subscribed."""

    def started(**changes: object) -> object:
        link = make_link(takes_voices=True, **changes)
        mqtt_client.subscribe("ishowtts/unit/#")
        link.start()
        mqtt_client.wait_for("ishowtts/unit/probe/voices")
        return link

    return started


def requests(link) -> list[VoiceRequest]:
    return [request for request, _ in link.recorder.voice_requests]


@pytest.mark.parametrize("protocol", [5, 4])
def test_requests_reach_their_handler_in_order(start, mqtt_client: Client, protocol: int) -> None:
    link = start(protocol=protocol)
    part = {"upload": "u", "part": 1, "parts": 2, "data": "c291bmQ="}
    mqtt_client.publish(TOPIC, part)
    mqtt_client.publish(TOPIC, "no object")
    mqtt_client.publish("ishowtts/unit/voice/../set", REMOVAL)
    mqtt_client.publish(TOPIC, REMOVAL, retain=True)  # we are subscribed already: it is not a retained one for us
    mqtt_client.publish("ishowtts/unit/voice/set", "anna")
    eventually(lambda: len(requests(link)) == 4)
    first, second, third, fourth = requests(link)
    assert first == VoicePart("anna", "u", 1, 2, b"sound")
    assert isinstance(second, BadVoiceRequest)
    assert isinstance(third, BadVoiceRequest)
    assert (second.name, third.name) == ("anna", None)
    assert fourth == VoiceRemoval("anna", "t")
    eventually(lambda: link.recorder.voices == ["anna"], "the default voice, which is not for this handler")
    assert not link.recorder.faults


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_retained_request_is_not_executed(start, mqtt_client: Client, protocol: int) -> None:
    mqtt_client.publish(TOPIC, REMOVAL, retain=True)
    link = start(protocol=protocol)
    mqtt_client.publish(TOPIC, {**REMOVAL, "transaction": "later"})
    eventually(lambda: requests(link), "the later one")
    assert requests(link) == [VoiceRemoval("anna", "later")]


def test_the_broker_holds_what_is_not_acknowledged_and_commands_pass_it(start, mqtt_client: Client) -> None:
    link = start()
    for number in range(100):
        mqtt_client.publish(TOPIC, {**REMOVAL, "transaction": str(number)})
    mqtt_client.publish("ishowtts/unit/command", "stop")
    eventually(lambda: link.recorder.commands, "the command")
    eventually(lambda: len(requests(link)) == 20, "as many as the broker may send")
    for number in range(100):
        eventually(lambda: len(link.recorder.voice_requests) > number, "the next one")  # noqa: B023  called at once
        link.recorder.voice_requests[number][1]()
    assert [request.transaction for request in requests(link)] == [str(number) for number in range(100)]


def test_it_leaves_with_the_others_if_another_appliance_uses_the_root(start, mqtt_client: Client) -> None:
    link = start(instance="5" * 32, guard_timeouts=GuardTimeouts(0.1, 60, 60))
    other = {"instance": "1" * 32, "host": "hall", "board": "Jetson"}
    for _ in range(2):
        mqtt_client.publish("ishowtts/unit/info", json.dumps(other), retain=True)
    eventually(lambda: not link.link.connected, "the end of the other connections")
    (connection,) = link.link._voices
    eventually(lambda: connection.session is None, "the end of the connection for voices")

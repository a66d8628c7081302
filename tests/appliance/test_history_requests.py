"""The daemon answers requests for older lines, and a flood of them delays neither speech nor commands."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

FLOOD = 1500
REPLY = "ishowtts/reply/anna"


def ask(client: Client, appliance: Appliance, number: int, **fields: Any) -> dict[str, Any]:
    """The reply to one request."""
    topic = f"{REPLY}/{number}"
    asked = {"command": "history", **fields}
    client.publish(f"{appliance.root}/command", asked, ResponseTopic=topic, CorrelationData=b"c")
    reply = client.wait_for(topic)
    assert reply.correlation == b"c"
    return dict(reply.json)


@pytest.mark.parametrize("private", [False, True])
def test_lines_that_wait_and_lines_that_ended_are_told(tmp_path: Path, broker: Broker, private: bool) -> None:
    settings = {"log": {"private": private}, "limits": {"max_chars": 30}}
    with (
        Appliance(tmp_path, broker, settings, quick_s=0.02) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        client.subscribe(f"{REPLY}/#")
        appliance.wait_ready(client)
        spoken = appliance.say(client, "This is spoken.", author="Bob")
        assert appliance.final(client, spoken)["event"] == "finished"
        refused = appliance.say(client, "This has too many characters for a line.")
        assert appliance.final(client, refused)["event"] == "rejected"
        client.publish(f"{appliance.root}/command", {"command": "pause", "transaction": "p"})
        client.wait_for(f"{appliance.root}/event", lambda message: message.json.get("transaction") == "p")
        waiting = appliance.say(client, "This waits.", priority="high", voice="default")
        client.wait_for(f"{appliance.root}/event", lambda message: message.json["id"] == waiting)
        newest = ask(client, appliance, 1, limit=2, transaction="t")
        oldest = ask(client, appliance, 2, before=newest["next"])
        client.publish(f"{appliance.root}/command", {"command": "history", "transaction": "lost"})
        lost = client.wait_for(f"{appliance.root}/event", lambda message: message.json.get("transaction") == "lost")
    lines = newest["lines"] + oldest["lines"]
    assert [(line["id"], line["status"]) for line in lines] == [
        (waiting, "waiting"),
        (refused, "rejected"),
        (spoken, "finished"),
    ]
    assert (newest["transaction"], newest["private"], oldest["next"]) == ("t", private, None)
    assert (lines[0]["priority"], lines[0]["voice"], lines[1]["reason"]) == ("high", "default", "too_long")
    assert (lines[2]["engine"], lines[2]["audible"]) == ("quick", True)
    texts = ["This waits.", "This has too many characters for a line.", "This is spoken."]
    assert [line.get("text") for line in lines] == ([None] * 3 if private else texts)
    assert [line.get("author") for line in lines] == [None, None, None if private else "Bob"]
    assert (lost.json["command"], lost.json["ok"]) == ("history", False)
    assert appliance.log.count("history") == (1 if private else 2), "a request that was answered is not in the log"


def test_a_flood_of_requests_delays_neither_speech_nor_commands(tmp_path: Path, broker: Broker) -> None:
    with (
        Appliance(tmp_path, broker, quick_s=0.2) as appliance,
        Client(broker.host, broker.port) as client,
        Client(broker.host, broker.port) as flooder,
    ):
        appliance.wait_ready(client)
        for number in range(30):
            appliance.say(client, f"Line {number}.")
        client.wait_for(f"{appliance.root}/event", lambda message: message.json["event"] == "accepted", count=30)
        # Nobody reads the replies: each requester is gone.
        for number in range(FLOOD):
            topic = f"ishowtts/reply/gone/{number}"
            flooder.publish(
                f"{appliance.root}/command", '{"command":"history","limit":100}', qos=0, ResponseTopic=topic
            )
        urgent = appliance.say(client, "This comes in the flood.", topic="urgent")
        client.publish(f"{appliance.root}/command", {"command": "mute", "transaction": "mine"})
        muted = client.wait_for(f"{appliance.root}/event", lambda message: message.json.get("transaction") == "mine")
        assert muted.json["ok"]
        assert appliance.final(client, urgent)["event"] == "finished"
        client.subscribe(f"{REPLY}/#")
        numbers = itertools.count()
        eventually(lambda: ask(client, appliance, next(numbers), limit=1).get("lines"), "lines, after the flood")
        assert not [event for event in appliance.events(client) if event.get("command") == "history"]

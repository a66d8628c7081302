"""A flood of commands, valid or not, causes few events and log lines, and does not delay other commands."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client

FLOOD = 20_000
EXECUTED = 10_000
WAITING = 300


def test_stop_works_during_a_flood_of_invalid_commands(tmp_path: Path, broker: Broker) -> None:
    with (
        Appliance(tmp_path, broker, quick_s=60) as appliance,
        Client(broker.host, broker.port) as client,
        Client(broker.host, broker.port) as flooder,
    ):
        appliance.wait_ready(client)
        line = appliance.say(client, "This would be spoken for a minute.")
        client.wait_for(f"{appliance.root}/event", lambda message: message.json["event"] == "started")
        process = psutil.Process(appliance.pid)
        before_mb = process.memory_info().rss / 1e6
        for number in range(FLOOD):
            flooder.publish(f"{appliance.root}/command", f'{{"command": "dance", "transaction": "t{number}"}}', qos=0)
        client.publish(f"{appliance.root}/command", {"command": "stop", "transaction": "mine"}, qos=0)
        asked_s = time.monotonic()
        assert appliance.final(client, line)["event"] == "cancelled"
        assert time.monotonic() - asked_s < 10
        # The rest is summed up within 10 s, plus one round of the main thread, which takes 5 s.
        client.wait_for(f"{appliance.root}/event", lambda message: "more such commands" in message.text, timeout_s=30)
        assert process.memory_info().rss / 1e6 - before_mb < 15
        answers = [event for event in appliance.events(client) if event["event"] == "command"]
        assert {"command": "stop", "ok": True, "transaction": "mine"}.items() <= answers[-2].items() | answers[
            -1
        ].items()
        assert len(answers) < 100
        assert appliance.log.count("command ? refused") < 100


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda number: f'{{"command": "cancel", "id": "t{number}"}}', id="cancel"),
        pytest.param(lambda number: ("mute", "unmute")[number % 2], id="mute"),
        pytest.param(lambda number: f'{{"command": "replay", "transaction": "t{number}"}}', id="replay"),
    ],
)
def test_during_a_flood_of_valid_commands_lines_are_accepted_and_other_commands_work(
    body: Callable[[int], str], tmp_path: Path, broker: Broker
) -> None:
    with (
        Appliance(tmp_path, broker, quick_s=0.2) as appliance,
        Client(broker.host, broker.port) as client,
        Client(broker.host, broker.port) as flooder,
    ):
        events = f"{appliance.root}/event"
        appliance.wait_ready(client)
        appliance.final(client, appliance.say(client, "This can be said again."))
        client.publish(f"{appliance.root}/command", "pause")
        client.wait_for(events, lambda message: message.json.get("detail") == "paused")
        for number in range(WAITING):
            appliance.say(client, f"Line {number} waits.")
        client.wait_for(events, lambda message: message.json["event"] == "accepted", count=WAITING + 1)
        process = psutil.Process(appliance.pid)
        before_mb = process.memory_info().rss / 1e6
        for number in range(EXECUTED):
            flooder.publish(f"{appliance.root}/command", body(number), qos=0)
        asked_s = time.monotonic()
        line = appliance.say(client, "This comes in the flood.", priority="high")
        client.wait_for(events, lambda message: message.json["id"] == line)
        client.publish(f"{appliance.root}/command", {"command": "stop", "transaction": "mine"}, qos=0)
        stopped = client.wait_for(events, lambda message: message.json.get("transaction") == "mine")
        assert stopped.json["ok"]
        assert time.monotonic() - asked_s < 15
        assert process.memory_info().rss / 1e6 - before_mb < 20
        assert appliance.final(client, line)["event"] in ("cancelled", "rejected")

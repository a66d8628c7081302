"""Two daemons with one name at one broker: one speaks, the other reports it and waits."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.cli.other_appliance import other_appliance
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

pytestmark = pytest.mark.slow

Boards = Callable[..., Appliance]


@pytest.fixture
def board(tmp_path: Path, broker: Broker) -> Iterator[Boards]:
    """`board("left", away_s=…)`: a daemon with the same name and broker as the others, in a folder of its own."""
    with ExitStack() as stack:

        def make(folder: str, silence_s: float = 2, away_s: float = 4, protocol: object = 5) -> Appliance:
            (tmp_path / folder).mkdir()
            mqtt = {
                "host": broker.host,
                "port": broker.port,
                "protocol": protocol,
                "duplicate_guard": {"silence_s": silence_s, "retry_s": away_s},
            }
            return stack.enter_context(Appliance(tmp_path / folder, broker, {"mqtt": mqtt}))

        yield make


@pytest.mark.parametrize("protocol", [5, "3.1.1"])
def test_the_second_instance_stays_away_and_takes_over_after_the_first(
    board: Boards, broker: Broker, mqtt_client: Client, protocol: object
) -> None:
    left = board("left", protocol=protocol)
    left.wait_ready(mqtt_client)
    right = board("right", protocol=protocol)
    eventually(lambda: "; give one of the two another device.name" in right.log, "its sentence", 60)
    eventually(lambda: "started, but no line can come yet: another appliance is live" in right.log, "READY", 60)
    said = [left.say(mqtt_client, "one two"), left.say(mqtt_client, "three")]
    for line_id in said:
        assert left.final(mqtt_client, line_id)["event"] == "finished"
    assert right.log.count("keeps away") <= 2  # as a warning, and beside `ready`
    assert not (right.folder / "sound.wav").exists() or right.sound.stat().st_size <= 44
    assert broker.connections("-lines") == 1
    info = mqtt_client.on("ishowtts/test/info")[-1].json
    first = info["instance"]
    told = [other_appliance(config.load(each.config_file), "ishowtts/test", info) for each in (left, right)]
    assert told[0] is None
    assert str(told[1]).startswith(f"another appliance (instance {first[:12]}, host ")
    left.stop()
    mqtt_client.wait_for("ishowtts/test/info", lambda m: m.json["instance"] != first, timeout_s=60)
    mqtt_client.wait_for("ishowtts/test/availability", lambda m: m.text == "online", count=2)
    assert right.final(mqtt_client, right.say(mqtt_client, "four"))["event"] == "finished"
    assert broker.connections("-lines") == 3  # one of the two of `right` drops what the other has spoken


def test_of_two_that_start_together_one_gives_way(board: Boards, broker: Broker) -> None:
    broker.stop()
    both = board("left", away_s=30), board("right", away_s=30)
    for each in both:
        eventually(lambda each=each: "started, but no line can come yet: " in each.log, "its start", 60)
    before = broker.connections("-lines")
    broker.start()
    eventually(lambda: any("keeps away" in each.log for each in both), "one that keeps away", 60)
    with Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/test/#")
        stays = next(each for each in both if "keeps away" not in each.log)
        client.wait_for("ishowtts/test/telemetry", lambda m: not m.retain, count=2)
        settled = broker.connections("-lines")
        line_ids = [stays.say(client, word) for word in ("one", "two", "three")]
        for line_id in line_ids:
            assert stays.final(client, line_id)["event"] == "finished"
        time.sleep(3)  # in this time two clients of one id would have taken over the session several times
        assert broker.connections("-lines") == settled
        assert settled - before < 8
        finished = [m.json["id"] for m in client.on("ishowtts/test/event") if m.json["event"] == "finished"]
        assert finished == line_ids
        assert client.on("ishowtts/test/availability")[-1].text == "online"
        assert sum("keeps away" in each.log for each in both) == 1


def test_a_killed_daemon_returns_to_its_own_root_topic_at_once(board: Boards, mqtt_client: Client) -> None:
    left = board("left", silence_s=3600, away_s=3600)
    left.wait_ready(mqtt_client)
    for how in (signal.SIGKILL, signal.SIGTERM):
        left.stop(how)
        mqtt_client.forget()
        left.start()
        left.wait_ready(mqtt_client)
        assert left.final(mqtt_client, left.say(mqtt_client, "one"))["event"] == "finished"
    assert "another" not in left.log


def test_a_board_that_replaces_a_dead_one_waits_and_takes_over(board: Boards, mqtt_client: Client) -> None:
    left = board("left")
    left.wait_ready(mqtt_client)
    was = mqtt_client.wait_for("ishowtts/test/info").json["instance"]
    left.stop(signal.SIGKILL)
    right = board("right")
    eventually(lambda: "waits for a sign that it is live" in right.log, "its sentence", 60)
    mqtt_client.wait_for("ishowtts/test/info", lambda m: m.json["instance"] != was, timeout_s=60)
    assert right.final(mqtt_client, right.say(mqtt_client, "one"))["event"] == "finished"

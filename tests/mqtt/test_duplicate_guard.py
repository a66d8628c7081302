"""The duplicate guard alone, and in a link on a real broker."""

from __future__ import annotations

import json
import time

import pytest

from ishowtts.mqtt.duplicate_guard import DuplicateInstanceGuard, GuardAction, GuardTimeouts
from support.broker import Broker
from support.client import Client
from support.clock import Clock
from support.waiting import eventually

OURS, FORMER = "5" * 32, "f" * 32
SMALLER, GREATER = "1" * 32, "9" * 32
TIMEOUTS = GuardTimeouts(interval_s=5, silence_s=10, retry_s=60)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(clock: Clock) -> DuplicateInstanceGuard:
    return DuplicateInstanceGuard("ishowtts/unit", OURS, [FORMER], TIMEOUTS, clock)


def info(instance: object, **more: object) -> bytes:
    return json.dumps({"instance": instance, "host": "hall", "board": "Jetson", **more}).encode()


def found(root: DuplicateInstanceGuard, payload: bytes | None, holding: bool = False) -> GuardAction:
    if payload is not None:
        assert root.message("info", payload, retained=True) is GuardAction.NOTHING
    return root.subscribed(holding)


@pytest.mark.parametrize(
    "payload",
    [
        None, b"", b"{", b"\xff", b"[1]", b"7", info(None), info(7), info(""), info("a b"), info("x" * 65),
        b"[" * 300_000, info(OURS), info(FORMER),
    ],
)  # fmt: skip
def test_a_root_without_anwhy_not_connected_is_ours_at_once(
    root: DuplicateInstanceGuard, payload: bytes | None
) -> None:
    assert root.wait_s() > 0  # before the subscriptions are granted
    assert found(root, payload) is GuardAction.NOTHING
    assert (root.wait_s(), root.problem) == (0, None)


def test_anwhy_not_connected_that_stays_silent_counts_as_dead(root: DuplicateInstanceGuard, clock: Clock) -> None:
    found(root, info(GREATER))
    assert root.wait_s() == 12.5  # 2.5 intervals of 5 s
    assert "9999" in root.problem
    root.message("state", b"{}", retained=True)  # a retained message is not a live one
    clock.now_s += 12.5
    assert (root.wait_s(), root.problem) == (0, None)


@pytest.mark.parametrize("sign", ["state", "telemetry", "info"])
def test_a_live_instance_keeps_us_away_until_it_is_silent(
    root: DuplicateInstanceGuard, clock: Clock, sign: str
) -> None:
    found(root, info(SMALLER))
    for _ in range(3):
        clock.now_s += 10
        root.message(sign, info(SMALLER), retained=False)
        assert root.wait_s() == 60
    for word in ("ishowtts/unit", "11111111", "hall", "Jetson", "55555555", "device.name"):
        assert word in root.problem
    clock.now_s += 60
    assert root.wait_s() == 0


def test_an_instance_with_a_longer_interval_gets_more_time(root: DuplicateInstanceGuard) -> None:
    found(root, info(SMALLER, telemetry_s=10))
    assert root.wait_s() == 25
    root.message("telemetry", b"{}", retained=False)
    assert root.wait_s() == 60


def test_the_wait_for_anwhy_not_connected_is_limited_by_the_probe_interval(root: DuplicateInstanceGuard) -> None:
    found(root, info(SMALLER, telemetry_s=3600))
    assert root.wait_s() == 75
    root.message("probe", b"probe", retained=False)
    assert root.wait_s() == 75


@pytest.mark.parametrize("interval", [True, "100", -1, 0, 1e9, float("1e400"), None, [1]])
def test_an_absurd_interval_of_anwhy_not_connected_is_ignored(root: DuplicateInstanceGuard, interval: object) -> None:
    found(root, json.dumps({"instance": SMALLER, "telemetry_s": interval}).encode())
    root.message("telemetry", b"{}", retained=False)
    assert root.wait_s() in (0, 60)  # 0: Infinity is not JSON, so the info names no instance


def test_of_two_instances_that_start_together_the_greater_id_leaves(root: DuplicateInstanceGuard, clock: Clock) -> None:
    found(root, None)
    assert root.message("info", info(OURS), retained=False) is GuardAction.NOTHING
    assert root.message("state", b"{}", retained=False) is GuardAction.NOTHING
    assert root.message("info", info(GREATER), retained=False) is GuardAction.REPUBLISH_INFO
    assert root.wait_s() == 0
    assert root.message("info", info(SMALLER), retained=False) is GuardAction.REPUBLISH_INFO
    assert root.wait_s() == 0
    assert root.message("info", info(SMALLER), retained=False) is GuardAction.YIELD
    assert root.wait_s() == 60
    assert "keeps away" in root.problem


def test_a_conflict_after_a_reconnect_is_resolved_in_the_same_way(root: DuplicateInstanceGuard) -> None:
    found(root, None)
    root.disconnected()
    assert found(root, info(GREATER), holding=True) is GuardAction.REPUBLISH_INFO
    root.disconnected()
    assert found(root, info(SMALLER), holding=True) is GuardAction.REPUBLISH_INFO
    assert root.message("info", info(SMALLER), retained=False) is GuardAction.YIELD


def test_one_forged_info_silences_nobody(root: DuplicateInstanceGuard) -> None:
    found(root, None)
    for instance in ("0", "00", "000"):
        assert root.message("info", info(instance), retained=False) is GuardAction.REPUBLISH_INFO
        assert (root.wait_s(), root.problem) == (0, None)


def test_the_session_is_stale_if_anwhy_not_connected_has_spoken_its_lines(
    root: DuplicateInstanceGuard, clock: Clock
) -> None:
    found(root, info(GREATER))
    assert not root.take_session_stale()  # it sent no live message: perhaps nobody took them
    root.message("telemetry", b"{}", retained=False)
    clock.now_s += 60
    assert root.wait_s() == 0
    assert root.take_session_stale()
    assert not root.take_session_stale()


def test_info_alone_does_not_make_the_session_stale(root: DuplicateInstanceGuard, clock: Clock) -> None:
    found(root, None)
    for _ in range(2):
        root.message("info", info(SMALLER), retained=False)
    root.message("telemetry", b"{}", retained=False)  # our own message, which comes back after we left
    clock.now_s += 60
    assert (root.wait_s(), root.take_session_stale()) == (0, False)


def test_an_instance_that_kept_away_still_does_after_a_reconnect(root: DuplicateInstanceGuard, clock: Clock) -> None:
    found(root, info(GREATER))
    root.message("state", b"{}", retained=False)
    root.disconnected()
    assert root.wait_s() > 60
    assert root.problem is None  # the broker is away
    found(root, None)  # the broker has lost its retained messages
    assert root.wait_s() == 60
    clock.now_s += 60
    assert root.wait_s() == 0


def test_a_reconnect_does_not_count_as_a_live_message(root: DuplicateInstanceGuard) -> None:
    for _ in range(3):
        found(root, info(GREATER))
        assert root.wait_s() == 12.5
        assert " s without one" in root.problem
        root.disconnected()


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_link_waits_for_a_silent_instance_and_then_connects(
    make_link, mqtt_client: Client, caplog: pytest.LogCaptureFixture, protocol: int
) -> None:
    for topic in ("info", "state", "telemetry"):
        mqtt_client.publish(f"ishowtts/unit/{topic}", info(SMALLER), retain=True)
    link = make_link(protocol=protocol, instance=OURS, guard_timeouts=GuardTimeouts(0.1, 1.0, 2.0)).start()
    assert "waits for a sign that it is live" in caplog.text
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: link.recorder.texts == ["hello"])
    assert [connected for connected, _ in link.recorder.connection] == [False, True]


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_link_keeps_away_from_a_live_instance(make_link, broker: Broker, mqtt_client: Client, protocol: int) -> None:
    mqtt_client.publish("ishowtts/unit/info", info(SMALLER), retain=True)
    link = make_link(protocol=protocol, instance=OURS, guard_timeouts=GuardTimeouts(0.1, 60, 60))
    link.link.start()
    eventually(lambda: "another" in (link.link.why_not_connected or ""), "the other instance")
    mqtt_client.publish("ishowtts/unit/telemetry", "{}", retain=True)
    eventually(lambda: "keeps away" in (link.link.why_not_connected or ""), "the live message")
    link.link.publish_retained("state", {"state": "ready"})
    link.link.stop(10)
    mqtt_client.subscribe("ishowtts/unit/#").publish("ishowtts/unit/fence", "x")
    mqtt_client.wait_for("ishowtts/unit/fence")
    assert {m.topic.rpartition("/")[2] for m in mqtt_client.messages} == {"info", "telemetry", "fence"}
    assert broker.connections("-lines") == 0
    assert any("keeps away" in why for _, why in link.recorder.connection)


def test_only_the_live_instance_replies_to_a_request(make_link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/info", info(SMALLER), retain=True)
    link = make_link(instance=OURS, guard_timeouts=GuardTimeouts(0.1, 60, 60))
    link.link.start()
    eventually(lambda: "another" in (link.link.why_not_connected or ""), "the other instance")
    mqtt_client.publish("ishowtts/unit/command", "history", ResponseTopic="ishowtts/reply/a")
    eventually(lambda: link.recorder.history)
    [(_, reply)] = link.recorder.history
    assert not reply.send(b"{}", 5.0)


@pytest.mark.parametrize("protocol", [5, 4])
@pytest.mark.parametrize("live", [True, False])
def test_waiting_lines_are_dropped_after_a_live_instance_and_kept_after_forged_info(
    make_link, mqtt_client: Client, monkeypatch: pytest.MonkeyPatch, protocol: int, live: bool
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.duplicate_guard._ECHO_S", 0.2)
    link = make_link(protocol=protocol, instance=OURS, guard_timeouts=GuardTimeouts(0.1, 0.5, 1.0)).start()
    mqtt_client.subscribe("ishowtts/unit/availability").wait_for("ishowtts/unit/availability")
    for _ in range(2):
        mqtt_client.publish("ishowtts/unit/info", info(SMALLER))
    eventually(lambda: not link.link.connected, "the end of the connection")
    mqtt_client.wait_for("ishowtts/unit/availability", lambda m: m.text == "offline")
    mqtt_client.publish("ishowtts/unit/say", "meanwhile")
    if live:
        time.sleep(0.3)
        mqtt_client.publish("ishowtts/unit/telemetry", "{}")
    eventually(lambda: link.link.connected, "the connection, again")
    mqtt_client.publish("ishowtts/unit/say", "for us")
    eventually(lambda: "for us" in link.recorder.texts, "the line")
    assert link.recorder.texts == (["for us"] if live else ["meanwhile", "for us"])
    mqtt_client.wait_for("ishowtts/unit/availability", lambda m: m.text == "online", count=2)


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_link_leaves_its_root_to_a_smaller_instance_id(
    make_link, broker: Broker, mqtt_client: Client, protocol: int
) -> None:
    link = make_link(protocol=protocol, instance=OURS, guard_timeouts=GuardTimeouts(0.1, 60, 60)).start()
    link.link.publish_retained("info", {"instance": OURS})
    mqtt_client.subscribe("ishowtts/unit/#").wait_for("ishowtts/unit/info")
    mqtt_client.publish("ishowtts/unit/info", info(GREATER), retain=True)
    mqtt_client.wait_for("ishowtts/unit/info", lambda m: m.json["instance"] == OURS, count=2)
    assert link.link.connected
    mqtt_client.publish("ishowtts/unit/info", info(SMALLER), retain=True)
    mqtt_client.wait_for("ishowtts/unit/info", lambda m: m.json["instance"] == OURS, count=3)
    assert link.link.connected
    mqtt_client.publish("ishowtts/unit/info", info(SMALLER), retain=True)
    eventually(lambda: not link.link.connected)
    assert "keeps away" in (link.link.why_not_connected or "")
    times = broker.connections("-lines")
    link.link.publish_retained("volume", 7)
    mqtt_client.publish("ishowtts/unit/say", "not for us")
    time.sleep(1)  # longer than the pauses between two tries
    assert not mqtt_client.on("ishowtts/unit/volume")
    assert (link.recorder.texts, broker.connections("-lines")) == ([], times)
    assert (
        mqtt_client.on("ishowtts/unit/availability")[-1].text == "offline"
    )  # until the other instance publishes `online`


def test_a_flood_of_forged_info_is_answered_a_few_times(make_link, mqtt_client: Client) -> None:
    link = make_link(instance=OURS).start()
    link.link.publish_retained("info", {"instance": OURS})
    mqtt_client.subscribe("ishowtts/unit/info").wait_for("ishowtts/unit/info")
    for number in range(200):
        mqtt_client.publish("ishowtts/unit/info", info(f"f{number:031x}"), qos=0)
    mqtt_client.publish("ishowtts/unit/command", "skip", qos=1)
    eventually(lambda: link.recorder.commands, "the command after them")
    mqtt_client.publish("ishowtts/unit/info", "end")
    mqtt_client.wait_for("ishowtts/unit/info", lambda m: m.text == "end")
    answers = [m for m in mqtt_client.on("ishowtts/unit/info") if OURS in m.text]
    assert 2 <= len(answers) <= 6
    assert link.link.connected


def test_one_of_two_links_that_start_at_the_same_time_stays(make_link, broker: Broker) -> None:
    stays, leaves = (make_link(instance=each, guard_timeouts=GuardTimeouts(0.1, 60, 60)) for each in (SMALLER, GREATER))
    broker.pause()  # both send CONNECT before one of them is accepted
    for link in (stays, leaves):
        link.link.publish_retained("info", {"instance": SMALLER if link is stays else GREATER})
        link.link.start()
    time.sleep(0.5)
    broker.resume()
    # If one was accepted before the other connected, the other one finds its info, and waits for a live message.
    eventually(lambda: "another" in (leaves.link.why_not_connected or ""), "the link that leaves")
    eventually(lambda: stays.link.connected, "the link that stays")
    assert not leaves.link.connected
    times = broker.connections("-lines")
    time.sleep(1)
    assert broker.connections("-lines") == times
    assert (stays.link.connected, stays.link.why_not_connected) == (True, None)

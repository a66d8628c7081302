"""What the link publishes: availability, retained values, events, answers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import time

import pytest

from ishowtts.model import Event, ReplyTo
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

TS = "2026-11-20T10:15:00.000Z"
AVAILABILITY = "ishowtts/unit/availability"


def retained_availability(broker: Broker) -> str:
    """The value that a client receives if it subscribes now."""
    with Client(broker.host, broker.port) as late:
        message = late.subscribe(AVAILABILITY).wait_for(AVAILABILITY)
        assert message.retain
        return message.text


def test_online_while_connected_and_offline_after_a_clean_stop(link, broker: Broker, mqtt_client: Client) -> None:
    mqtt_client.subscribe(AVAILABILITY)
    mqtt_client.wait_for(AVAILABILITY, lambda m: m.text == "online")
    link.link.stop(10)
    mqtt_client.wait_for(AVAILABILITY, lambda m: m.text == "offline")
    assert retained_availability(broker) == "offline"
    assert not link.link.connected
    assert link.recorder.connection[-1][0] is False


def test_a_stop_ends_the_threads_even_without_a_broker(make_link, broker: Broker) -> None:
    connected, never = make_link().start(), make_link(root="ishowtts/other")
    broker.kill()
    never.link.start()
    for link in (connected.link, never.link):
        link.stop(10)
        link.stop(10)
        assert link.alive()  # they ended because of `stop`


@pytest.mark.parametrize("protocol", [5, 4])
def test_the_will_says_offline_when_the_process_is_killed(broker: Broker, mqtt_client: Client, protocol: int) -> None:
    program = f"""
        import time
        from ishowtts.mqtt.line_payload import LineLimits
        from ishowtts.mqtt.link import MqttLink
        from ishowtts.mqtt.link_handlers import MqttHandlers
        from ishowtts.mqtt.mqtt_options import MqttOptions
        nobody = lambda *_: None
        options = MqttOptions(host="127.0.0.1", port={broker.port}, root="ishowtts/unit", prefix="ishowtts",
                              protocol={protocol}, will_delay_s=1)
        limits = LineLimits(100, lambda: None, "ishowtts/reply/")
        handlers = MqttHandlers(nobody, lambda _name, _resumed, then: then(), *[nobody] * 6)
        MqttLink(options, limits, handlers).start()
        time.sleep(60)
    """
    mqtt_client.subscribe(AVAILABILITY)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=environment) as process:
        try:
            mqtt_client.wait_for(AVAILABILITY, lambda m: m.text == "online", timeout_s=60)
        finally:
            process.kill()
    mqtt_client.wait_for(AVAILABILITY, lambda m: m.text == "offline")
    assert retained_availability(broker) == "offline"


def test_retained_values_are_json_at_the_broker(link, broker: Broker, mqtt_client: Client) -> None:
    mqtt_client.subscribe("ishowtts/unit/#")
    link.link.publish_retained("state", {"state": "ready", "detail": "café"})
    link.link.publish_retained("volume", 80)
    link.link.publish_retained("muted", False)
    link.link.publish_retained("telemetry", {"uptime_s": None})
    for topic in ("state", "volume", "muted", "telemetry"):
        mqtt_client.wait_for(f"ishowtts/unit/{topic}")
    with Client(broker.host, broker.port) as late:
        late.subscribe("ishowtts/unit/#")
        assert late.wait_for("ishowtts/unit/state").json == {"state": "ready", "detail": "café"}
        for topic, text in (("volume", "80"), ("muted", "false"), ("telemetry", '{"uptime_s":null}')):
            message = late.wait_for(f"ishowtts/unit/{topic}")
            assert (message.text, message.retain) == (text, True)


def test_nan_is_refused_before_it_is_sent(make_link) -> None:
    with pytest.raises(ValueError, match="JSON"):
        make_link().link.publish_retained("telemetry", {"rtf": float("nan")})


def test_a_broker_that_lost_everything_gets_the_last_values_again(link, broker: Broker, tmp_path) -> None:
    link.link.publish_retained("state", {"state": "warming"})
    link.link.publish_retained("state", {"state": "ready"})
    broker.kill()
    for saved in tmp_path.rglob("mosquitto.db*"):
        saved.unlink()
    eventually(lambda: not link.link.connected)
    link.link.publish_retained("volume", 30)
    broker.start()
    with Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/unit/#")
        client.wait_for("ishowtts/unit/volume", lambda m: m.text == "30")
        client.wait_for(AVAILABILITY, lambda m: m.text == "online")
        assert [m.json for m in client.on("ishowtts/unit/state")] == [{"state": "ready"}]
        assert link.link.reconnects == 1
        client.publish("ishowtts/unit/say", "still here")
        eventually(lambda: link.recorder.texts == ["still here"])


def test_events_arrive_in_order_and_are_confirmed(link, mqtt_client: Client) -> None:
    mqtt_client.subscribe("ishowtts/unit/event")
    events = [Event(TS, f"l{i}", "finished", {"rtf": 0.1, "id": "not this"}) for i in range(200)]
    assert link.link.send_events(list(enumerate(events)), 20) == 200
    mqtt_client.wait_for("ishowtts/unit/event", count=200)
    received = [m.json for m in mqtt_client.on("ishowtts/unit/event")]
    assert [e["id"] for e in received] == [f"l{i}" for i in range(200)]
    assert received[0] == {"ts": TS, "id": "l0", "event": "finished", "rtf": 0.1}


def test_no_event_counts_as_confirmed_without_a_broker(make_link, broker: Broker) -> None:
    link = make_link().start()
    broker.kill()
    eventually(lambda: not link.link.connected)
    assert link.link.send_events([(1, Event(TS, "a", "finished"))], 5) == 0


def test_two_equal_events_with_different_numbers_are_both_sent(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/unit/event")
    refused = Event(TS, "", "command", {"command": "", "ok": False, "detail": "no", "transaction": None})
    assert link.link.send_events([(1, refused), (2, refused)], 20) == 2
    mqtt_client.wait_for("ishowtts/unit/event", count=2)


def test_an_event_that_the_broker_confirms_late_is_not_published_again(
    make_link, broker: Broker, mqtt_client: Client
) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/unit/event")
    event = Event(TS, "a", "finished")
    broker.pause()
    try:
        assert link.link.send_events([(1, event)], 0.2) == 0
        assert link.link.send_events([(1, event)], 0.2) == 0
    finally:
        broker.resume()
    assert link.link.send_events([(1, event)], 20) == 1
    assert link.link.send_events([(2, Event(TS, "b", "finished"))], 20) == 1
    mqtt_client.wait_for("ishowtts/unit/event", lambda m: m.json["id"] == "b")
    assert [m.json["id"] for m in mqtt_client.on("ishowtts/unit/event")] == ["a", "b"]


def test_a_lost_connection_ends_the_wait_for_confirmations(make_link, broker: Broker) -> None:
    link = make_link().start()
    broker.pause()
    try:
        assert link.link.send_events([(1, Event(TS, "a", "finished"))], 0.1) == 0
    finally:
        broker.kill()
    began_s = time.monotonic()
    assert link.link.send_events([(1, Event(TS, "a", "finished"))], 60) == 0
    assert time.monotonic() - began_s < 50


def test_the_final_event_goes_to_the_response_topic_too(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/reply/#").subscribe("ishowtts/unit/event")
    reply_to = ReplyTo("ishowtts/reply/me", b"\x00\xff")
    started = Event(TS, "a", "started", reply_to=reply_to)
    finished = dataclasses.replace(started, event="finished")
    assert link.link.send_events([(1, started), (2, finished)], 20) == 2
    answer = mqtt_client.wait_for("ishowtts/reply/me")
    assert (answer.json["event"], answer.correlation) == ("finished", b"\x00\xff")
    mqtt_client.wait_for("ishowtts/unit/event", count=2)
    assert len(mqtt_client.on("ishowtts/reply/me")) == 1


def test_an_answer_does_not_contain_the_id_of_the_line_that_it_was_merged_into(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/reply/#").subscribe("ishowtts/unit/event")
    merged = Event(TS, "b", "merged", {"into": "secret"}, ReplyTo("ishowtts/reply/me", b"c"))
    assert link.link.send_events([(1, merged)], 20) == 1
    assert mqtt_client.wait_for("ishowtts/reply/me").json == {"ts": TS, "id": "b", "event": "merged"}
    assert mqtt_client.wait_for("ishowtts/unit/event").json["into"] == "secret"


def test_an_answer_at_which_the_broker_ends_the_connection_delays_no_event(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.subscribe("ishowtts/unit/event")
    too_deep = ReplyTo("ishowtts/reply/" + "a/" * 240)  # mosquitto ends the connection at 200 levels
    numbered = [(1, Event(TS, "a", "finished", reply_to=too_deep)), (2, Event(TS, "b", "finished"))]
    eventually(lambda: link.link.send_events(numbered, 1.0) == 2, "the events", 60)
    mqtt_client.wait_for("ishowtts/unit/event", lambda m: m.json["id"] == "b")
    assert {m.json["id"] for m in mqtt_client.on("ishowtts/unit/event")} == {"a", "b"}
    assert 1 <= link.link.reconnects <= 3


def test_a_forged_availability_is_corrected(make_link, mqtt_client: Client) -> None:
    make_link().start()
    mqtt_client.subscribe(AVAILABILITY).wait_for(AVAILABILITY, lambda m: m.text == "online")
    mqtt_client.publish(AVAILABILITY, "offline", retain=True)
    mqtt_client.wait_for(AVAILABILITY, lambda m: m.text == "online", count=2)

"""The link detects whether messages reach it and leave it, reports it, and tries again."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from ishowtts.model import AlertName, Event
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.reachability import LinkProbe
from support import broker_scripts as scripts
from support import mqtt_packets as mqtt
from support.clock import Clock
from support.hostile_broker import HostileBroker, Peer
from support.waiting import eventually

ROOT = "ishowtts/unit"
SAY, URGENT, COMMAND = f"{ROOT}/say", f"{ROOT}/urgent", f"{ROOT}/command"
AVAILABILITY, EVENT = f"{ROOT}/availability", f"{ROOT}/event"
PROBE, DEAF = f"{ROOT}/probe", f"{ROOT}/alert/deaf"
QUICK_PROBE = {"probe_interval_s": 0.3, "probe_timeout_s": 0.5}
OF_EACH_PROTOCOL = pytest.mark.parametrize("protocol", [5, 4])


@pytest.fixture
def options(hostile_options: MqttOptions) -> MqttOptions:
    return hostile_options


def availability(hostile: HostileBroker) -> list[str]:
    """All values that were published on `availability`, in order."""
    return [packet.payload.decode() for packet in hostile.received_of(mqtt.PUBLISH, AVAILABILITY)]


def retained(hostile: HostileBroker, topic: str) -> Any:
    """The retained value of a topic: `availability` as text, others from JSON."""
    message = hostile.retained.get(topic)
    if message is None:
        return None
    return message.payload.decode() if topic == AVAILABILITY else json.loads(message.payload)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# Subscriptions


@OF_EACH_PROTOCOL
@pytest.mark.parametrize("refused", [SAY, f"{SAY}/+", URGENT, COMMAND, f"{ROOT}/volume/set", f"{ROOT}/voice/set"])
def test_a_refused_subscription_is_reported_and_the_appliance_is_offline(
    hostile: HostileBroker, make_link: Any, refused: str, protocol: int
) -> None:
    hostile.on_subscribe = scripts.refuse(0x87 if protocol == 5 else 0x80, refused)
    link = make_link(protocol=protocol)
    link.link.start()
    eventually(lambda: any(f"{refused} (" in why for _, why in link.recorder.connection), "the sentence", 5)
    assert f"{refused} (" in link.link.deaf
    assert "ACL" in link.link.deaf
    eventually(lambda: availability(hostile) == ["offline"], "offline", 5)
    link.link.publish_retained(AlertName.DEAF, {"active": True})
    eventually(lambda: retained(hostile, DEAF) == {"active": True}, "the alert, which it can still publish", 5)
    hostile.on_subscribe = None
    hostile.forget_sessions()
    eventually(lambda: link.link.connected and link.link.deaf is None, "the proof, after the ACL is right", 10)
    eventually(lambda: retained(hostile, AVAILABILITY) == "online", "online", 5)


def test_a_refused_subscription_is_asked_for_again(hostile: HostileBroker, make_link: Any) -> None:
    hostile.on_subscribe = scripts.refuse(0x87, SAY, COMMAND)
    link = make_link(**QUICK_PROBE)
    link.link.start()
    eventually(lambda: link.link.deaf, "the sentence", 5)
    hostile.on_subscribe = None
    eventually(lambda: link.link.deaf is None, "the proof", 10)
    eventually(lambda: retained(hostile, AVAILABILITY) == "online", "online", 5)
    assert hostile.connections() == 2, "on the same connections"


@OF_EACH_PROTOCOL
def test_a_lower_qos_than_asked_is_logged_once_and_lines_still_come(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture, protocol: int
) -> None:
    def grant_qos_0(peer: Peer, packet: mqtt.Packet) -> None:
        # While the probe is refused, the link asks for all topics again and again.
        codes = [0x80 if topic == PROBE else 0 for topic, _ in packet.subscriptions]
        peer.broker.grant(peer, packet, codes)

    hostile.on_subscribe = grant_qos_0
    link = make_link(protocol=protocol, **QUICK_PROBE)
    link.link.start()
    hostile.wait_for(lambda p: p.kind == mqtt.SUBSCRIBE and p.role == "lines", 20, count=4)
    hostile.publish(SAY, "a line")
    eventually(lambda: link.recorder.texts == ["a line"], "the line", 5)
    said = [sentence for sentence in warnings(caplog) if f"grants only QoS 0 for {SAY}: lines are lost" in sentence]
    assert len(said) == 1


@OF_EACH_PROTOCOL
def test_lines_arrive_if_only_the_probe_is_refused(hostile: HostileBroker, make_link: Any, protocol: int) -> None:
    """The ACL of an older release does not allow the topic of the probe."""
    hostile.on_subscribe = scripts.refuse(0x87 if protocol == 5 else 0x80, PROBE)
    link = make_link(protocol=protocol, **QUICK_PROBE)
    link.link.start()
    eventually(lambda: PROBE in (link.link.deaf or ""), "the sentence", 5)
    eventually(lambda: link.link.connected, "the connection", 5)
    hostile.publish(SAY, "a line")
    eventually(lambda: link.recorder.texts == ["a line"], "the line", 5)
    assert hostile.connections("lines") == 1


def test_a_repeated_refusal_is_logged_once(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hostile.on_subscribe = scripts.refuse(0x87, SAY)
    link = make_link(**QUICK_PROBE)
    link.link.start()
    hostile.wait_for(lambda p: p.kind == mqtt.SUBSCRIBE and p.role == "lines", 20, count=6)
    assert len(warnings(caplog)) <= 2


@pytest.mark.parametrize(("role", "protocol"), [("lines", 5), ("commands", 4)])
def test_a_subscription_that_is_never_answered_is_tried_again(
    hostile: HostileBroker, make_link: Any, role: str, protocol: int
) -> None:
    hostile.on_subscribe = scripts.of_role(role, scripts.silence)
    link = make_link(protocol=protocol, connect_timeout_s=0.4)
    link.link.start()
    hostile.wait_for(lambda p: p.kind == mqtt.SUBSCRIBE and p.role == role, 5, count=3)
    assert "online" not in availability(hostile)
    assert any("subscri" in why for connected, why in link.recorder.connection if not connected)
    hostile.on_subscribe = None
    eventually(lambda: link.link.connected, "the connection", 5)


@OF_EACH_PROTOCOL
def test_the_deadline_of_a_subscription_starts_when_it_is_sent(
    hostile: HostileBroker, make_link: Any, protocol: int
) -> None:
    """`on_session` may take long if the disk is blocked. The deadline starts at SUBSCRIBE."""
    link = make_link(protocol=protocol, connect_timeout_s=0.3)
    link.recorder.hold_sessions = True
    link.link.start()
    eventually(lambda: link.recorder.sessions, "the session", 5)
    time.sleep(1.0)
    assert hostile.connections("lines") == 1
    link.recorder.sessions[0][2]()
    eventually(lambda: link.link.connected, "the connection", 5)


# The probe


@OF_EACH_PROTOCOL
def test_the_probe_comes_back_on_the_lines_connection_and_is_not_a_line(
    hostile: HostileBroker, make_link: Any, protocol: int
) -> None:
    link = make_link(protocol=protocol, **QUICK_PROBE).start()
    hostile.wait_for(lambda p: p.kind == mqtt.PUBLISH and p.topic == PROBE, 10, count=4)
    probes = hostile.received_of(mqtt.PUBLISH, PROBE)
    assert {(probe.role, probe.qos, probe.retain) for probe in probes} == {("lines", 1, False)}
    subscribed = [wish for p in hostile.received_of(mqtt.SUBSCRIBE, role="lines") for wish in p.subscriptions]
    assert (PROBE, 1) in [(topic, options & 3) for topic, options in subscribed]
    hostile.publish(SAY, "a line")
    eventually(lambda: link.recorder.texts == ["a line"], "the line", 5)
    assert link.recorder.arrivals == [arrival for arrival in link.recorder.arrivals if hasattr(arrival, "text")]
    assert link.link.deaf is None
    assert link.link.reconnects == 0
    eventually(lambda: not hostile.unacknowledged("lines"), "the acknowledgements of the probes", 5)


@pytest.mark.parametrize(("how", "protocol"), [("forwards nothing", 5), ("drops the probe", 4)])
def test_a_broker_that_forwards_nothing_is_detected_and_reported(
    hostile: HostileBroker, make_link: Any, how: str, protocol: int
) -> None:
    link = make_link(protocol=protocol, **QUICK_PROBE).start()
    eventually(lambda: retained(hostile, AVAILABILITY) == "online", "online", 5)
    if how == "forwards nothing":
        hostile.forwards = lambda role, _topic: role != "lines"
    else:
        hostile.on_publish = scripts.drop(PROBE)
    eventually(lambda: isinstance(link.link.deaf, str), "the sentence", 10)
    eventually(lambda: hostile.connections("lines") >= 2, "another connection", 10)
    eventually(lambda: retained(hostile, AVAILABILITY) == "offline", "offline", 5)
    before = len(availability(hostile))
    eventually(lambda: hostile.connections("lines") >= 4, "further connections", 20)
    assert "online" not in availability(hostile)[before:], "it does not publish online before the proof"

    hostile.forwards, hostile.on_publish = (lambda _role, _topic: True), None
    eventually(lambda: link.link.deaf is None, "the proof", 10)
    eventually(lambda: retained(hostile, AVAILABILITY) == "online", "online", 5)
    hostile.publish(SAY, "heard")
    eventually(lambda: link.recorder.texts == ["heard"], "a line", 5)


def test_a_link_that_is_deaf_from_the_start_reports_it(hostile: HostileBroker, make_link: Any) -> None:
    hostile.forwards = lambda role, _topic: role != "lines"
    link = make_link(**QUICK_PROBE)
    link.link.start()
    eventually(lambda: isinstance(link.link.deaf, str), "the sentence", 10)
    link.link.publish_retained(AlertName.DEAF, {"active": True})
    eventually(lambda: retained(hostile, DEAF) == {"active": True}, "the alert, which it can still publish", 10)
    eventually(lambda: availability(hostile) and availability(hostile)[-1] == "offline", "offline", 10)


def test_a_broker_that_forwards_no_commands_is_detected(hostile: HostileBroker, make_link: Any) -> None:
    hostile.forwards = lambda role, _topic: role != "commands"
    link = make_link(probe_timeout_s=0.5)
    link.link.start()
    eventually(lambda: link.link.deaf, "the report")
    assert "commands may not reach us" in link.link.deaf
    assert not [p for p in hostile.received_of(mqtt.PUBLISH, "ishowtts/unit/availability") if p.payload == b"online"]


@pytest.mark.parametrize("role", ["lines", "commands"])
def test_a_broker_whose_first_packet_ends_each_connection_is_reported(
    hostile: HostileBroker, make_link: Any, role: str
) -> None:
    def poison(peer: Any, packet: Any) -> None:
        peer.serve(packet)
        if peer.role == role:
            peer.send(b"\xf0\x00")  # AUTH, which is not allowed here

    link = make_link()
    hostile.on_connect = poison
    link.link.start()
    eventually(lambda: link.link.deaf, "the report")
    assert "sent a malformed packet (packet type 15, which is not allowed here)" in link.link.deaf
    assert link.link.reconnects == 0
    hostile.on_connect = None
    eventually(lambda: link.link.connected and link.link.deaf is None, "the proof")


def test_no_probe_is_sent_while_lines_arrive(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link(probe_interval_s=0.8, probe_timeout_s=5.0).start()
    hostile.publish(SAY, "first")
    eventually(lambda: link.recorder.texts, "the first line", 5)
    before = len(hostile.received_of(mqtt.PUBLISH, PROBE))
    for number in range(12):
        hostile.publish(SAY, f"line {number}")
        time.sleep(0.1)
    assert len(hostile.received_of(mqtt.PUBLISH, PROBE)) == before
    hostile.wait_for(lambda p: p.kind == mqtt.PUBLISH and p.topic == PROBE, 10, count=before + 1)


def test_foreign_messages_on_the_probe_topic_are_ignored(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link(**QUICK_PROBE).start()
    for payload in (b"", b"x", b"\xff" * 1000, b"x" * 1_000_000, b'{"text": "spoken?"}'):
        hostile.publish(PROBE, payload)
        hostile.publish(PROBE, payload, retain=True)
    hostile.publish(SAY, "next")
    eventually(lambda: link.recorder.texts == ["next"], "the line", 5)
    assert len(link.recorder.arrivals) == 1
    assert link.link.reconnects == 0


def test_a_retained_message_on_the_probe_topic_does_not_prove_anything(hostile: HostileBroker, make_link: Any) -> None:
    """A retained message does not prove that our own probe came back."""
    link = make_link(**QUICK_PROBE).start()
    hostile.publish(PROBE, "an old probe", retain=True)
    hostile.on_publish = scripts.drop(PROBE)
    eventually(lambda: isinstance(link.link.deaf, str), "the sentence", 10)


# Confirmations


def event(name: str = "a") -> Event:
    return Event("2026-11-20T10:15:00.000Z", name, "finished", {})


@OF_EACH_PROTOCOL
def test_a_broker_that_never_confirms_is_reported_and_reconnected(
    hostile: HostileBroker, make_link: Any, protocol: int
) -> None:
    link = make_link(protocol=protocol, confirm_timeout_s=0.6).start()
    hostile.on_publish = scripts.confirm_with(None, EVENT)
    deadline_s = time.monotonic() + 10
    while hostile.connections("lines") < 2 and time.monotonic() < deadline_s:
        assert link.link.send_events([(1, event())], 0.1) == 0
        time.sleep(0.02)
    assert hostile.connections("lines") >= 2
    sentences = [why for connected, why in link.recorder.connection if not connected]
    assert any("not confirmed" in why and str(hostile.port) in why for why in sentences)
    hostile.on_publish = None
    eventually(lambda: link.link.send_events([(1, event())], 0.5) == 1, "the confirmation", 10)
    eventually(lambda: link.link.connected, "both connections")
    sent = hostile.received_of(mqtt.PUBLISH, EVENT)
    assert {packet.role for packet in sent} == {"lines"}


def test_a_probe_that_cannot_be_sent_is_not_reported_as_lost(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link(confirm_timeout_s=2.0, probe_interval_s=0.2, probe_timeout_s=0.5).start()
    hostile.on_publish = scripts.confirm_with(None, EVENT)
    many = [(number, event(f"e{number}")) for number in range(30)]

    def left() -> bool:
        link.link.publish_retained("telemetry", {})  # at QoS 0, which nobody confirms
        return link.link.send_events(many, 0.1) > 0 or hostile.connections("lines") > 1

    eventually(left, "another connection")
    sentences = [why for _, why in link.recorder.connection]
    assert any("not confirmed" in why for why in sentences)
    assert not any("probe" in why for why in sentences)


def test_stop_is_quick_while_nothing_is_confirmed(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link(confirm_timeout_s=0.6).start()
    hostile.on_publish = scripts.confirm_with(None)
    link.link.send_events([(1, event())], 0.1)
    began_s = time.monotonic()
    link.link.stop(2.0)
    assert time.monotonic() - began_s < 3.0


def test_a_slow_broker_that_confirms_in_time_keeps_its_connection(hostile: HostileBroker, make_link: Any) -> None:
    def late(peer: Any, packet: Any) -> None:
        time.sleep(0.3)
        peer.serve(packet)

    link = make_link(confirm_timeout_s=1.2).start()
    hostile.on_publish = scripts.on_topic(EVENT, late)
    done = 0
    deadline_s = time.monotonic() + 20
    while done < 6 and time.monotonic() < deadline_s:
        done += link.link.send_events([(number, event(f"e{number}")) for number in range(done, 6)], 0.5)
    assert done == 6
    assert hostile.connections("lines") == 1
    assert len(hostile.received_of(mqtt.PUBLISH, EVENT)) == 6


@pytest.mark.parametrize("code", [0x80, 0x83, 0x97])
def test_an_event_that_is_refused_for_now_is_published_again(hostile: HostileBroker, make_link: Any, code: int) -> None:
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(code, EVENT)
    assert link.link.send_events([(1, event())], 1.0) == 0
    hostile.on_publish = None
    eventually(lambda: link.link.send_events([(1, event())], 1.0) == 1, "the confirmation", 10)
    assert len(hostile.received_of(mqtt.PUBLISH, EVENT)) >= 2


@pytest.mark.parametrize("code", [0x10, 0x87, 0x90, 0x95, 0x99])
def test_an_event_that_is_accepted_or_refused_for_good_counts_as_confirmed(
    hostile: HostileBroker, make_link: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(code, EVENT)
    assert link.link.send_events([(1, event())], 5.0) == 1
    assert len(hostile.received_of(mqtt.PUBLISH, EVENT)) == 1
    if code != 0x10:
        eventually(lambda: warnings(caplog), "the warning", 5)
    assert len(warnings(caplog)) == (0 if code == 0x10 else 1)
    assert link.link.reconnects == 0


def test_events_after_a_refused_one_keep_their_order(hostile: HostileBroker, make_link: Any) -> None:
    link = make_link().start()
    hostile.on_publish = scripts.on_topic(EVENT, scripts.times(1, scripts.confirm_with(0x97)))
    numbered = [(number, event(f"e{number}")) for number in range(3)]
    confirmed = link.link.send_events(numbered, 1.0)
    assert confirmed == 0
    deadline_s = time.monotonic() + 10
    while confirmed < 3 and time.monotonic() < deadline_s:
        confirmed += link.link.send_events(numbered[confirmed:], 1.0)
    assert confirmed == 3
    names = [json.loads(packet.payload)["id"] for packet in hostile.received_of(mqtt.PUBLISH, EVENT)]
    assert names.count("e0") == 2


@pytest.mark.parametrize("code", [0x01, 0x42, 0x91, 0x9F, 0xC0, 0xFF])
def test_an_unknown_puback_code_does_not_end_the_connection(hostile: HostileBroker, make_link: Any, code: int) -> None:
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(code, EVENT)
    link.link.send_events([(1, event())], 0.5)
    hostile.on_publish = None
    eventually(lambda: link.link.send_events([(2, event("b"))], 1.0) == 1, "the next event", 5)
    assert link.link.reconnects == 0


def test_a_lasting_deafness_is_logged_once(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link(**QUICK_PROBE).start()
    hostile.forwards = lambda role, _topic: role != "lines"
    eventually(lambda: hostile.connections("lines") >= 4, "further connections", 20)
    assert len(warnings(caplog)) <= 3
    assert isinstance(link.link.deaf, str)


def test_a_flood_of_refusals_is_logged_once(
    hostile: HostileBroker, make_link: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker over its quota refuses each event of the outbox repeatedly."""
    link = make_link().start()
    hostile.on_publish = scripts.confirm_with(0x97, EVENT)
    for _ in range(5):
        assert link.link.send_events([(number, event(f"e{number}")) for number in range(20)], 2.0) == 0
    hostile.wait_for(lambda p: p.topic == EVENT, 5, count=40)
    assert len(warnings(caplog)) <= 5


# The clock of the probe


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probe(clock: Clock) -> LinkProbe:
    return LinkProbe(30, 10, clock)


def test_a_new_connection_is_probed_once_at_once(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 9
    assert (probe.due(), probe.overdue()) == (False, False)


def test_a_lost_probe_is_overdue_once_and_sent_again_later(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    clock.now_s += 10
    assert (probe.overdue(), probe.overdue(), probe.due()) == (True, False, False)
    clock.now_s += 30
    assert probe.due()


def test_any_message_counts_as_the_probe(probe: LinkProbe, clock: Clock) -> None:
    assert probe.due()
    for _ in range(10):
        clock.now_s += 9
        probe.arrived()
        assert (probe.overdue(), probe.due()) == (False, False)
    clock.now_s += 30
    assert probe.due()


def test_a_held_probe_is_sent_again_at_once(probe: LinkProbe, clock: Clock) -> None:
    probe.hold()
    assert probe.due()
    clock.now_s += 60
    probe.hold()
    assert (probe.overdue(), probe.due()) == (False, True)
    probe.arrived()
    probe.hold()
    assert not probe.due()

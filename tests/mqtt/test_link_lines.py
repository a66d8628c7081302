"""Lines over a real broker: they arrive, the broker keeps them until we acknowledge them, retained ones are ignored."""

from __future__ import annotations

import pytest

from ishowtts.model import Line, Priority, Reason, Rejection, ReplyTo
from support.broker import Broker
from support.client import Client
from support.waiting import eventually


def fence(mqtt_client: Client, link, text: str = "fence") -> None:
    """Wait until the link has handled everything that was published before."""
    mqtt_client.publish("ishowtts/unit/say", text)
    eventually(lambda: text in link.recorder.texts, "the fence")


def test_a_line_arrives_with_its_fields(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say/anna", {"text": "Hello.", "id": "a1", "speed": 1.5, "ttl_s": 9})
    eventually(lambda: link.recorder.arrivals)
    assert link.recorder.arrivals == [Line("a1", "Hello.", voice="anna", speed=1.5, ttl_s=9.0)]
    assert link.recorder.threads == {"mqtt-lines"}


def test_the_topic_urgent_makes_a_line_urgent(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/urgent", "Fire!")
    eventually(lambda: link.recorder.arrivals)
    assert link.recorder.arrivals[0].priority is Priority.URGENT


def test_an_invalid_line_arrives_as_a_rejection_and_the_link_continues(link, mqtt_client: Client) -> None:
    for hostile in (b"", b"\xff\xfe", b'{"', b'{"text": 1}', b'{"a":' * 3000, b"x" * 101, b"y" * 100_000):
        mqtt_client.publish("ishowtts/unit/say", hostile)
    mqtt_client.publish("ishowtts/unit/say/nobody", "Hello.")
    fence(mqtt_client, link)
    reasons = [a.reason for a in link.recorder.arrivals if isinstance(a, Rejection)]
    assert reasons == [
        Reason.EMPTY,
        Reason.BAD_UTF8,
        Reason.BAD_JSON,
        Reason.BAD_FIELD,
        Reason.BAD_JSON,
        Reason.TOO_LONG,
        Reason.TOO_BIG,
        Reason.UNKNOWN_VOICE,
    ]
    assert link.link.alive()


def test_expiry_response_topic_and_correlation_come_with_the_line(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.publish(
        "ishowtts/unit/say",
        "Hello.",
        MessageExpiryInterval=60,
        ResponseTopic="ishowtts/reply/me",
        CorrelationData=b"\x00\x01",
    )
    eventually(lambda: link.recorder.arrivals)
    line = link.recorder.arrivals[0]
    assert line.reply_to == ReplyTo("ishowtts/reply/me", b"\x00\x01")
    assert 0 < line.ttl_s <= 60


def test_the_content_type_json_requires_an_object(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.publish("ishowtts/unit/say", "no object", ContentType="application/json")
    eventually(lambda: link.recorder.arrivals)
    assert link.recorder.arrivals[0].reason is Reason.BAD_JSON


@pytest.mark.parametrize("protocol", [5, 4])
def test_an_unacknowledged_line_comes_again_after_a_restart(make_link, mqtt_client: Client, protocol: int) -> None:
    first = make_link(protocol=protocol).start()
    first.recorder.acknowledge = False
    mqtt_client.publish("ishowtts/unit/say", "one")
    mqtt_client.publish("ishowtts/unit/say", "two")
    eventually(lambda: first.recorder.texts == ["one", "two"])
    first.recorder.acks[0]()
    first.link.stop(10)

    second = make_link(protocol=protocol).start()
    fence(mqtt_client, second)
    assert second.recorder.texts == ["two", "fence"]


@pytest.mark.parametrize("protocol", [5, 4])
def test_lines_wait_at_the_broker_while_the_appliance_is_off(make_link, mqtt_client, protocol: int) -> None:
    make_link(protocol=protocol).start().link.stop(10)
    mqtt_client.publish("ishowtts/unit/say", "while off")
    link = make_link(protocol=protocol).start()
    eventually(lambda: link.recorder.texts == ["while off"])


def test_the_broker_gets_acknowledgements_in_the_order_of_arrival(make_link, mqtt_client: Client) -> None:
    first = make_link().start()
    first.recorder.acknowledge = False
    for text in ("one", "two", "three"):
        mqtt_client.publish("ishowtts/unit/say", text)
    eventually(lambda: len(first.recorder.acks) == 3)
    first.recorder.acks[1]()
    first.recorder.acks[2]()
    first.link.stop(10)

    second = make_link().start()
    second.recorder.acknowledge = False
    eventually(
        lambda: second.recorder.texts == ["one", "two", "three"],
        "all three, because the first one held back the others",
    )
    second.recorder.acks[2]()
    second.recorder.acks[1]()
    second.recorder.acks[0]()
    second.link.stop(10)

    third = make_link().start()
    fence(mqtt_client, third)
    assert third.recorder.texts == ["fence"]


def test_an_acknowledgement_for_an_older_connection_does_nothing(make_link, broker: Broker, tmp_path) -> None:
    link = make_link().start()
    link.recorder.acknowledge = False
    with Client(broker.host, broker.port) as client:
        client.publish("ishowtts/unit/say", "old")
        eventually(lambda: link.recorder.texts == ["old"])
    # The broker forgets everything, and gives another message the packet id of the old one.
    broker.kill()
    for saved in tmp_path.rglob("mosquitto.db*"):
        saved.unlink()
    broker.start()
    eventually(lambda: link.link.reconnects == 1 and link.link.connected)
    with Client(broker.host, broker.port) as client:
        client.publish("ishowtts/unit/say", "new")
        eventually(lambda: link.recorder.texts == ["old", "new"])
        link.recorder.acks[0]()
        link.link.stop(10)
        again = make_link().start()
        eventually(lambda: again.recorder.texts == ["new"], "the line that nobody acknowledged")


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_retained_line_is_never_spoken(make_link, mqtt_client: Client, protocol: int) -> None:
    mqtt_client.publish("ishowtts/unit/say", "kept forever", retain=True)
    mqtt_client.publish("ishowtts/unit/urgent", "kept forever", retain=True)
    link = make_link(protocol=protocol).start()
    fence(mqtt_client, link)
    assert link.recorder.texts == ["fence"]
    link.link.stop(10)

    again = make_link(protocol=protocol).start()
    fence(mqtt_client, again, "again")
    assert again.recorder.texts == ["again"]


def test_a_live_line_with_the_retain_flag_is_spoken(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say", "now", retain=True)
    eventually(lambda: link.recorder.texts == ["now"])


def test_a_failing_handler_ends_the_connection_and_the_line_comes_again(
    make_link, mqtt_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link()
    taken = link.recorder.arrival
    calls: list[object] = []

    def fails_once(arrival, ack) -> None:
        calls.append(arrival)
        if len(calls) == 1:
            raise OSError("disk full")
        taken(arrival, ack)

    link.recorder.arrival = fails_once
    link = make_link(link.recorder).start()
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: link.recorder.texts == ["hello"], "the line, again")
    assert "disk full" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_network_thread_is_detected_and_started_again(make_link, mqtt_client: Client) -> None:
    link = make_link()
    taken = link.recorder.arrival
    calls: list[object] = []

    def dies_once(arrival, ack) -> None:
        calls.append(arrival)
        if len(calls) == 1:
            raise SystemExit
        taken(arrival, ack)

    link.recorder.arrival = dies_once
    link = make_link(link.recorder).start()
    assert not link.link.revive_if_dead()
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: not link.link.alive(), "the death")
    assert not link.link.connected
    assert link.link.revive_if_dead()
    eventually(lambda: link.recorder.texts == ["hello"], "the line, again")
    assert link.link.alive()


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_redelivery_has_the_dup_flag_and_the_same_packet_id_and_digest(make_link, mqtt_client, protocol: int) -> None:
    first = make_link(protocol=protocol).start()
    first.recorder.acknowledge = False
    mqtt_client.publish("ishowtts/unit/say", "hello")
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: first.recorder.texts == ["hello", "hello"])
    first.link.stop(10)
    second = make_link(protocol=protocol).start()
    eventually(lambda: second.recorder.texts == ["hello", "hello"])

    before, again = first.recorder.deliveries, second.recorder.deliveries
    assert [one.again for one in before] == [False, False]
    assert [one.again for one in again] == [True, True]
    assert [(one.packet_id, one.digest) for one in before] == [(one.packet_id, one.digest) for one in again]
    assert before[0].packet_id != before[1].packet_id
    assert before[0].digest == before[1].digest
    fence(mqtt_client, second, "another")
    assert second.recorder.deliveries[-1].digest != before[0].digest


def test_a_line_at_qos_0_has_no_delivery(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say", "hello", qos=0)
    eventually(lambda: link.recorder.texts == ["hello"])
    assert link.recorder.deliveries == [None]


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_new_session_subscribes_only_after_its_handler_allows_it(
    make_link, mqtt_client: Client, protocol: int
) -> None:
    link = make_link(protocol=protocol)
    link.recorder.hold_sessions = True
    link.link.start()
    eventually(lambda: link.recorder.sessions, "the session")
    mqtt_client.publish("ishowtts/unit/say", "for nobody")
    (name, resumed, subscribe) = link.recorder.sessions[0]
    assert not resumed
    assert not link.link.connected
    subscribe()
    eventually(lambda: link.link.connected)
    fence(mqtt_client, link)
    assert link.recorder.texts == ["fence"]
    link.link.stop(10)

    again = make_link(protocol=protocol).start()
    assert again.recorder.sessions[0][:2] == (name, True)

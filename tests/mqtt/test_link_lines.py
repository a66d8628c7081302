"""Lines over a real broker: they arrive, are kept until acknowledged, and only live ones count."""

from __future__ import annotations

import pytest

from ishowtts.model import Line, Priority, Reason, Rejection, ReplyTo
from support.broker import Broker
from support.client import Client
from support.waiting import eventually


def fence(mqtt_client: Client, link, text: str = "fence") -> None:
    """Return when everything that was published before has been through the link."""
    mqtt_client.publish("ishowtts/unit/say", text)
    eventually(lambda: text in link.told.texts, "the fence")


def test_a_line_arrives_with_its_values(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say/anna", {"text": "Hello.", "id": "a1", "speed": 1.5, "ttl_s": 9})
    eventually(lambda: link.told.arrivals)
    assert link.told.arrivals == [Line("a1", "Hello.", voice="anna", speed=1.5, ttl_s=9.0)]
    assert link.told.threads == {"mqtt-lines"}


def test_the_topic_urgent_makes_a_line_urgent(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/urgent", "Fire!")
    eventually(lambda: link.told.arrivals)
    assert link.told.arrivals[0].priority is Priority.URGENT


def test_what_cannot_be_a_line_arrives_as_a_rejection_and_the_link_goes_on(link, mqtt_client: Client) -> None:
    for hostile in (b"", b"\xff\xfe", b'{"', b'{"text": 1}', b'{"a":' * 3000, b"x" * 101, b"y" * 100_000):
        mqtt_client.publish("ishowtts/unit/say", hostile)
    mqtt_client.publish("ishowtts/unit/say/nobody", "Hello.")
    fence(mqtt_client, link)
    reasons = [a.reason for a in link.told.arrivals if isinstance(a, Rejection)]
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
    eventually(lambda: link.told.arrivals)
    line = link.told.arrivals[0]
    assert line.reply_to == ReplyTo("ishowtts/reply/me", b"\x00\x01")
    assert 0 < line.ttl_s <= 60


def test_the_content_type_makes_an_object_of_a_payload(make_link, mqtt_client: Client) -> None:
    link = make_link().start()
    mqtt_client.publish("ishowtts/unit/say", "no object", ContentType="application/json")
    eventually(lambda: link.told.arrivals)
    assert link.told.arrivals[0].reason is Reason.BAD_JSON


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_line_that_was_not_acknowledged_comes_again_after_the_process(
    make_link, mqtt_client: Client, protocol: int
) -> None:
    first = make_link(protocol=protocol).start()
    first.told.acknowledge = False
    mqtt_client.publish("ishowtts/unit/say", "one")
    mqtt_client.publish("ishowtts/unit/say", "two")
    eventually(lambda: first.told.texts == ["one", "two"])
    first.told.acks[0]()
    first.link.stop(10)

    second = make_link(protocol=protocol).start()
    fence(mqtt_client, second)
    assert second.told.texts == ["two", "fence"]


@pytest.mark.parametrize("protocol", [5, 4])
def test_lines_wait_at_the_broker_while_the_appliance_is_off(make_link, mqtt_client, protocol: int) -> None:
    make_link(protocol=protocol).start().link.stop(10)
    mqtt_client.publish("ishowtts/unit/say", "while off")
    link = make_link(protocol=protocol).start()
    eventually(lambda: link.told.texts == ["while off"])


def test_acknowledgements_leave_in_the_order_of_arrival(make_link, mqtt_client: Client) -> None:
    first = make_link().start()
    first.told.acknowledge = False
    for text in ("one", "two", "three"):
        mqtt_client.publish("ishowtts/unit/say", text)
    eventually(lambda: len(first.told.acks) == 3)
    first.told.acks[1]()
    first.told.acks[2]()
    first.link.stop(10)

    second = make_link().start()
    second.told.acknowledge = False
    eventually(lambda: second.told.texts == ["one", "two", "three"], "all three, for the first holds the others")
    second.told.acks[2]()
    second.told.acks[1]()
    second.told.acks[0]()
    second.link.stop(10)

    third = make_link().start()
    fence(mqtt_client, third)
    assert third.told.texts == ["fence"]


def test_an_acknowledgement_for_an_older_connection_does_nothing(make_link, broker: Broker, tmp_path) -> None:
    link = make_link().start()
    link.told.acknowledge = False
    with Client(broker.host, broker.port) as client:
        client.publish("ishowtts/unit/say", "old")
        eventually(lambda: link.told.texts == ["old"])
    # The broker forgets everything, and gives another message the number that the old one had.
    broker.kill()
    for saved in tmp_path.rglob("mosquitto.db*"):
        saved.unlink()
    broker.start()
    eventually(lambda: link.link.reconnects == 1 and link.link.connected)
    with Client(broker.host, broker.port) as client:
        client.publish("ishowtts/unit/say", "new")
        eventually(lambda: link.told.texts == ["old", "new"])
        link.told.acks[0]()
        link.link.stop(10)
        again = make_link().start()
        eventually(lambda: again.told.texts == ["new"], "the line that nobody acknowledged")


@pytest.mark.parametrize("protocol", [5, 4])
def test_what_was_retained_is_never_spoken(make_link, mqtt_client: Client, protocol: int) -> None:
    mqtt_client.publish("ishowtts/unit/say", "kept for ever", retain=True)
    mqtt_client.publish("ishowtts/unit/urgent", "kept for ever", retain=True)
    link = make_link(protocol=protocol).start()
    fence(mqtt_client, link)
    assert link.told.texts == ["fence"]
    link.link.stop(10)

    again = make_link(protocol=protocol).start()
    fence(mqtt_client, again, "again")
    assert again.told.texts == ["again"]


def test_a_live_line_with_the_retain_flag_is_spoken(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say", "now", retain=True)
    eventually(lambda: link.told.texts == ["now"])


def test_a_handler_that_fails_costs_a_connection_and_the_line_comes_again(
    make_link, mqtt_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link()
    taken = link.told.arrival
    calls: list[object] = []

    def fails_once(arrival, ack) -> None:
        calls.append(arrival)
        if len(calls) == 1:
            raise OSError("disk full")
        taken(arrival, ack)

    link.told.arrival = fails_once
    link = make_link(link.told).start()
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: link.told.texts == ["hello"], "the line, again")
    assert "disk full" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_network_thread_that_died_is_found_and_started_again(make_link, mqtt_client: Client) -> None:
    link = make_link()
    taken = link.told.arrival
    calls: list[object] = []

    def dies_once(arrival, ack) -> None:
        calls.append(arrival)
        if len(calls) == 1:
            raise SystemExit
        taken(arrival, ack)

    link.told.arrival = dies_once
    link = make_link(link.told).start()
    assert not link.link.revive_if_dead()
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: not link.link.alive(), "the death")
    assert not link.link.connected
    assert link.link.revive_if_dead()
    eventually(lambda: link.told.texts == ["hello"], "the line, again")
    assert link.link.alive()


@pytest.mark.parametrize("protocol", [5, 4])
def test_what_comes_again_says_so_and_is_known_by_its_number_and_digest(make_link, mqtt_client, protocol: int) -> None:
    first = make_link(protocol=protocol).start()
    first.told.acknowledge = False
    mqtt_client.publish("ishowtts/unit/say", "hello")
    mqtt_client.publish("ishowtts/unit/say", "hello")
    eventually(lambda: first.told.texts == ["hello", "hello"])
    first.link.stop(10)
    second = make_link(protocol=protocol).start()
    eventually(lambda: second.told.texts == ["hello", "hello"])

    before, again = first.told.deliveries, second.told.deliveries
    assert [one.again for one in before] == [False, False]
    assert [one.again for one in again] == [True, True]
    assert [(one.packet_id, one.digest) for one in before] == [(one.packet_id, one.digest) for one in again]
    assert before[0].packet_id != before[1].packet_id
    assert before[0].digest == before[1].digest
    fence(mqtt_client, second, "another")
    assert second.told.deliveries[-1].digest != before[0].digest


def test_a_line_at_qos_0_has_no_delivery(link, mqtt_client: Client) -> None:
    mqtt_client.publish("ishowtts/unit/say", "hello", qos=0)
    eventually(lambda: link.told.texts == ["hello"])
    assert link.told.deliveries == [None]


@pytest.mark.parametrize("protocol", [5, 4])
def test_a_new_session_brings_nothing_before_it_is_noted(make_link, mqtt_client: Client, protocol: int) -> None:
    link = make_link(protocol=protocol)
    link.told.hold_sessions = True
    link.link.start()
    eventually(lambda: link.told.sessions, "the session")
    mqtt_client.publish("ishowtts/unit/say", "for nobody")
    (name, resumed, subscribe) = link.told.sessions[0]
    assert not resumed
    assert not link.link.connected
    subscribe()
    eventually(lambda: link.link.connected)
    fence(mqtt_client, link)
    assert link.told.texts == ["fence"]
    link.link.stop(10)

    again = make_link(protocol=protocol).start()
    assert again.told.sessions[0][:2] == (name, True)

"""Requests for sound come over a connection of their own, and their parts go back until the requester is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ishowtts.model import Rejection, RenderRequest, SoundFormat
from ishowtts.mqtt.duplicate_guard import GuardTimeouts
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderQueued, RenderSound, parse_part
from ishowtts.mqtt.renders.render_reply import RenderKey, RenderReply
from support.client import Client
from support.waiting import eventually

TOPIC = "ishowtts/unit/render"
REPLY = "ishowtts/reply/me/1"
HEAD = RenderHead(SoundFormat.PCM, 24_000, "f5", "anna")
END = RenderEnd(1.0, 0.5, 0.1, 0.5, 0.0, "f5", ("f5",), "anna", cached=False, parts=2)


@pytest.fixture
def start(make_link, mqtt_client: Client) -> Callable[..., Any]:
    """`start(…)`: a link that renders, once its connection for that is subscribed."""

    def started(**changes: Any) -> Any:
        link = make_link(takes_renders=True, **changes)
        mqtt_client.subscribe("ishowtts/unit/#")
        link.start()
        mqtt_client.wait_for("ishowtts/unit/probe/renders")
        return link

    return started


@pytest.fixture
def requester(mqtt_client: Client) -> Iterator[Client]:
    with Client(*mqtt_client.address) as client:
        client.subscribe("ishowtts/reply/me/#")
        yield client


def ask(client: Client, payload: Any = "Hi", correlation: bytes = b"1", topic: str = TOPIC, **properties: Any) -> None:
    client.publish(topic, payload, **{"ResponseTopic": REPLY, "CorrelationData": correlation, **properties})


def rendered(link: Any, count: int = 1) -> list[tuple[RenderRequest | Rejection, RenderReply]]:
    eventually(lambda: len(link.recorder.renders) >= count, "the requests")
    return link.recorder.renders


def parts(client: Client, correlation: bytes = b"1") -> list[Any]:
    return [parse_part(each.payload, each.user) for each in client.messages if each.correlation == correlation]


def send(reply: RenderReply, *sent: Any) -> list[bool]:
    return [reply.send(each.part, each.payload(), seq=getattr(each, "seq", None)) for each in sent]


def test_a_request_is_answered_part_by_part(start, requester: Client) -> None:
    link = start()
    ask(requester, {"text": "Hi", "format": "flac"})
    ((request, reply),) = rendered(link)
    assert isinstance(request, RenderRequest)
    assert (request.line.text, request.format) == ("Hi", SoundFormat.FLAC)
    assert (reply.client, reply.key) == (REPLY, RenderKey(REPLY, b"1"))
    sent = [RenderQueued(2), HEAD, RenderSound(0, b"\0\1" * 9), RenderSound(1, b"\xff" * 32_768), END]
    assert send(reply, *sent) == [True] * 5
    eventually(lambda: parts(requester) == sent, "all parts, in order")
    assert send(reply, RenderError("cancelled", "late"), RenderSound(2, b"x")) == [True] * 2
    requester.publish(REPLY, "last", CorrelationData=b"1")
    eventually(lambda: len(parts(requester)) == 6)
    assert parts(requester)[:5] == sent, "nothing follows the end"
    assert reply.gone is None
    first = requester.messages[0]
    assert (first.topic, first.qos, first.retain, first.user) == (REPLY, 1, False, (("part", "queued"),))


def test_a_request_that_is_refused_can_be_answered(start, requester: Client) -> None:
    link = start()
    ask(requester, {"text": "Hi", "volume": 3})
    ((rejection, reply),) = rendered(link)
    assert isinstance(rejection, Rejection)
    error = RenderError(rejection.reason.value, rejection.detail)
    assert send(reply, error) == [True]
    eventually(lambda: parts(requester) == [error])


def test_a_requester_is_told_that_its_broker_takes_no_parts_of_sound(start, requester: Client) -> None:
    link = start()
    link.link._renders[0].connection.session._client.broker_max_packet_bytes = 20_000
    ask(requester)
    ((_, reply),) = rendered(link)
    assert send(reply, RenderQueued(0), HEAD, RenderSound(0, b"\0\1" * 16_384)) == [True, True, False]
    assert reply.gone == "the broker does not take messages of this size"
    eventually(lambda: len(parts(requester)) == 3)
    error = parts(requester)[-1]
    assert (error.reason, "raise its max_packet_size to 4000" in error.detail) == ("failed", True)


def test_parts_of_the_sound_fit_the_maximum_packet_size_of_the_broker(start, requester: Client) -> None:
    link = start()
    client = link.link._renders[0].connection.session._client
    ask(requester)
    ((_, reply),) = rendered(link)
    largest = {None: 32_768, 100_000: 32_768, 20_000: 17_800, 4_001: 1_800, 100: 1_024}
    for client.broker_max_packet_bytes, part_bytes in largest.items():
        assert reply.part_bytes == part_bytes
    client.broker_max_packet_bytes = 4_000
    assert send(reply, HEAD, RenderSound(0, b"x" * reply.part_bytes)) == [True, True]
    eventually(lambda: len(parts(requester)) == 2)
    assert reply.gone is None


def test_a_request_without_a_usable_way_back_is_dropped_with_a_sentence(
    start, requester: Client, caplog: pytest.LogCaptureFixture
) -> None:
    link = start()
    ask(requester, ResponseTopic="ishowtts/unit/say")
    ask(requester, correlation=b"x" * 65)
    requester.publish(TOPIC, "Hi", ResponseTopic=REPLY)
    requester.publish(TOPIC, "Hi")
    for _ in range(9):
        requester.publish(TOPIC, "Hi", CorrelationData=b"1")
    ask(requester, correlation=b"x" * 64)
    assert len(rendered(link)) == 1
    told = [record.getMessage() for record in caplog.records if "is dropped" in record.getMessage()]
    fix = "; give it a Response Topic under ishowtts/reply/ and Correlation Data of 1 to 64 bytes (MQTT 5)"
    whys = ["its response topic cannot be used: answers are published only under ishowtts/reply/"]
    whys += ["its Correlation Data has 65 bytes", "its Correlation Data has 0 bytes"]
    whys += ["it has no Response Topic, so nothing can be answered"] * 2
    assert told == [f"a request for sound is dropped: {why}{fix}" for why in whys]
    link.link._renders[0]._log_limit._ends_s = 0.0  # the 10 s are over
    requester.publish(TOPIC, "Hi")
    eventually(lambda: "8 more requests for sound were dropped" in caplog.text)


def test_a_retained_request_is_dropped(start, requester: Client) -> None:
    ask(requester, "old", retain=True)
    link = start()
    ask(requester, "new", b"2")
    assert [request.line.text for request, _ in rendered(link)] == ["new"]


def test_a_render_is_cancelled_by_its_key(start, requester: Client) -> None:
    link = start()
    ask(requester)
    ask(requester, "", b"2", topic=f"{TOPIC}/cancel")
    ask(requester, "", b"1", topic=f"{TOPIC}/cancel")
    eventually(lambda: link.recorder.cancelled == [RenderKey(REPLY, b"1")], "the one that is open")
    eventually(lambda: parts(requester, b"2"), "the answer about the one that is not open")
    assert parts(requester, b"2") == [RenderError("cancelled", "no such render is open here")]
    assert not parts(requester, b"1"), "who makes the sound answers that"


def test_a_flood_of_cancels_is_answered_within_a_limit(
    start, requester: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.renders.render_connection._MAX_ANSWERED", 3)
    link = start()
    for number in range(9):
        ask(requester, "", f"other {number}".encode(), topic=f"{TOPIC}/cancel")
    ask(requester)
    ask(requester, "", b"1", topic=f"{TOPIC}/cancel")
    eventually(lambda: link.recorder.cancelled == [RenderKey(REPLY, b"1")], "the one that is open")
    eventually(lambda: sum(len(parts(requester, f"other {number}".encode())) for number in range(9)) == 3, "3 answers")


def test_a_request_that_comes_twice_is_rendered_once(start, requester: Client) -> None:
    link = start()
    for correlation in (b"1", b"1", b"2"):
        ask(requester, correlation=correlation)
    assert [reply.key.correlation for _, reply in rendered(link, 2)] == [b"1", b"2"]
    send(link.recorder.renders[0][1], END)
    eventually(lambda: len(link.link._renders[0]._open) == 1, "the confirmation of the end")
    ask(requester, correlation=b"1")
    assert [reply.key.correlation for _, reply in rendered(link, 3)] == [b"1", b"2", b"1"]


def test_a_client_that_floods_does_not_keep_out_another(
    start, requester: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ishowtts.mqtt.renders.render_connection._MAX_OPEN_OF_CLIENT", 3)
    monkeypatch.setattr("ishowtts.mqtt.renders.render_connection._MAX_OPEN", 5)
    link = start()
    for number in range(5):
        ask(requester, correlation=b"%d" % number)
    for number in range(3):
        ask(requester, correlation=b"%d" % number, ResponseTopic="ishowtts/reply/me/2")
    eventually(lambda: caplog.text.count("too many are open; send fewer, or wait for their ends") == 3)
    assert [reply.client for _, reply in link.recorder.renders] == [REPLY] * 3 + ["ishowtts/reply/me/2"] * 2
    busy = RenderError("busy", "too many renders are open here; send fewer, or wait for their ends")
    eventually(lambda: parts(requester, b"3") == parts(requester, b"4") == [busy], "the answers to those dropped")
    for _, reply in list(link.recorder.renders):
        send(reply, END)
    renders = link.link._renders[0]
    eventually(lambda: not renders._open, "the confirmations")
    assert not renders._open_of_client


def test_a_requester_that_is_gone_is_noticed_by_the_answer_of_the_broker(start, mqtt_client: Client) -> None:
    link = start()
    with Client(*mqtt_client.address) as requester:
        requester.subscribe(REPLY)
        ask(requester)
        ((_, reply),) = rendered(link)
        woken = threading.Event()
        reply.wake = woken.set
        assert send(reply, RenderQueued(0), HEAD) == [True, True]
        eventually(lambda: len(parts(requester)) == 2)
    assert reply.gone is None
    eventually(lambda: not all(send(reply, RenderSound(0, b"x"))), "the answer that nobody is there")
    assert woken.wait(10)
    assert reply.gone == "nobody is subscribed to the response topic any more"
    assert send(reply, RenderSound(1, b"x"), END) == [False, False]


def test_parts_of_the_sound_wait_for_confirmations(start, requester: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = start()
    ask(requester)
    ((_, reply),) = rendered(link)
    room = threading.Event()
    reply.wake = room.set
    with ExitStack() as held:
        answers = held.enter_context(_answers_held(link, monkeypatch))
        sent = send(reply, *(RenderSound(seq, b"x") for seq in range(9)))
        assert sent == [True] * 8 + [False]
        assert send(reply, HEAD) == [True], "what is no sound always has room"
        assert not room.is_set()
        answers.release.set()
        assert room.wait(10)
    assert send(reply, RenderSound(8, b"x"), END) == [True, True]
    eventually(lambda: parts(requester)[-1:] == [END], "the end")
    assert [each.seq for each in parts(requester) if isinstance(each, RenderSound)] == list(range(9))


class _Held:
    def __init__(self) -> None:
        self.release = threading.Event()

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()


def _answers_held(link: Any, monkeypatch: pytest.MonkeyPatch) -> _Held:
    """Hold the network loop of renders at its next answer until `release` is set."""
    held = _Held()
    session = link.link._renders[0].connection.session
    take = session._take_answers

    def taken() -> None:
        if session._publisher._answers:
            assert held.release.wait(10)
        take()

    monkeypatch.setattr(session, "_take_answers", taken)
    return held


def test_after_a_lost_connection_requesters_are_told(start, requester: Client) -> None:
    link = start()
    ask(requester)
    ask(requester, correlation=b"2")
    (_, reply), (_, other) = rendered(link, 2)
    send(other, END)
    eventually(lambda: parts(requester, b"2") == [END])
    eventually(lambda: len(link.link._renders[0]._open) == 1, "the confirmation of the end")
    link.link._renders[0].connection._session._client.socket().shutdown(2)
    eventually(lambda: reply.gone, "the end of the connection")
    assert other.gone is None
    eventually(lambda: parts(requester), "the error")
    (error,) = parts(requester)
    assert error == RenderError("failed", "the appliance lost its connection to the broker; send the request again")
    assert parts(requester, b"2") == [END]


def test_the_last_parts_are_with_the_broker_when_the_link_has_stopped(start, requester: Client) -> None:
    link = start()
    for number in range(40):  # paho sends 20 before the first is confirmed
        ask(requester, correlation=b"%d" % number)
    error = RenderError("stopping", "the daemon ends")
    for _, reply in rendered(link, 40):
        send(reply, error)
    link.link.stop(10)
    eventually(lambda: all(parts(requester, b"%d" % number) == [error] for number in range(40)), "40 errors")


@pytest.mark.parametrize("changes", [{"protocol": 4}, {}])
def test_without_response_topics_or_without_a_handler_there_is_no_connection(make_link, changes: Any) -> None:
    link = make_link(takes_renders=bool(changes), **changes).start()
    assert len(link.link.connections) == 2


def test_it_leaves_with_the_others_if_another_appliance_uses_the_root(start, mqtt_client: Client) -> None:
    link = start(instance="5" * 32, guard_timeouts=GuardTimeouts(0.1, 60, 60))
    other = {"instance": "1" * 32, "host": "hall", "board": "Jetson"}
    for _ in range(2):
        mqtt_client.publish("ishowtts/unit/info", other, retain=True)
    (renders,) = link.link._renders
    eventually(lambda: renders.connection.session is None, "the end of the connection")

"""Requests to an appliance: their answers, and what happens without one. The broker and the appliance are scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances import appliance_requests
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests, new_reply_root
from ishowtts_gateway.gateway_error import GatewayError
from support import mqtt_packets as mqtt
from support.broker_scripts import confirm_with
from support.gateway_waiting import until
from support.hostile_broker import HostileBroker
from support.mqtt_packets import Packet
from support.scripted_appliance import TS, appliance, ask, event, reply


def error_of(work: Awaitable[Any]) -> Awaitable[GatewayError]:
    async def failing() -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await work
        return caught.value

    return failing()


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = ApplianceRequests.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "answer_s", 0.3)
    monkeypatch.setattr(appliance_requests, "_OFFLINE_ANSWER_S", 0.1)


def test_each_of_two_lines_at_once_gets_its_own_answer() -> None:
    waiting: list[Any] = []

    def say(broker: HostileBroker, _packet: Packet, line: Any) -> None:
        waiting.append(line)
        if len(waiting) == 2:  # the second is answered first
            for asked in reversed(waiting):
                event(broker, "accepted", id=asked["id"], text=asked["text"])

    async def scenario(gateway: ApplianceClient) -> None:
        said = [gateway.requests.say("test", {"text": text}) for text in ("One.", "Two.")]
        assert [answer["text"] for answer in await asyncio.gather(*said)] == ["One.", "Two."]
        assert len({asked["id"] for asked in waiting}) == 2

    with HostileBroker(on_publish=appliance(say=say)) as broker:
        ask(broker, scenario)


def test_the_same_id_twice_at_once_gets_two_different_answers() -> None:
    seen: list[str] = []

    def say(broker: HostileBroker, _packet: Packet, line: Any) -> None:
        event(broker, "duplicate" if line["id"] in seen else "accepted", id=line["id"])
        seen.append(line["id"])

    async def scenario(gateway: ApplianceClient) -> None:
        said = [gateway.requests.say("test", {"text": "One.", "id": "tea"}) for _ in range(2)]
        assert [answer["event"] for answer in await asyncio.gather(*said)] == ["accepted", "duplicate"]

    with HostileBroker(on_publish=appliance(say=say)) as broker:
        ask(broker, scenario)


def test_an_urgent_line_goes_to_its_topic_and_a_rejection_may_come_at_the_response_topic() -> None:
    def urgent(broker: HostileBroker, packet: Packet, _line: Any) -> None:
        rejected = {"id": "another", "event": "rejected", "reason": "filtered"}
        reply(broker, packet, {**rejected, "reason": "forged"}, correlation=b"somebody else")
        reply(broker, packet, b"[]")
        reply(broker, packet, b"x" * 300_000)
        reply(broker, packet, rejected)

    async def scenario(gateway: ApplianceClient) -> None:
        answer = await gateway.requests.say("test", {"text": "Fire.", "id": "tea"}, urgent=True)
        assert answer == {"id": "another", "event": "rejected", "reason": "filtered"}

    with HostileBroker(on_publish=appliance(urgent=urgent)) as broker:
        ask(broker, scenario)


def test_commands_are_told_apart_by_their_transaction() -> None:
    def command(broker: HostileBroker, _packet: Packet, asked: Any) -> None:
        event(broker, "command", command="skip", ok=False, transaction="another")
        event(broker, "command", command=asked["command"], ok=True, transaction=asked["transaction"])

    async def scenario(gateway: ApplianceClient) -> None:
        requests = gateway.requests
        skipped, mine = await asyncio.gather(
            requests.command("test", {"command": "skip"}),
            requests.command("test", {"command": "cancel", "id": "tea", "transaction": "mine"}),
        )
        assert (skipped["ok"], mine["transaction"]) == (True, "mine")

    with HostileBroker(on_publish=appliance(skip=command, cancel=command)) as broker:
        ask(broker, scenario)


def test_volumes_are_set_one_after_the_other() -> None:
    def volume(broker: HostileBroker, _packet: Packet, asked: Any) -> None:
        event(broker, "command", command="volume", ok=True, detail=str(asked), ts=f"{TS}{asked}")

    async def scenario(gateway: ApplianceClient) -> None:
        answers = await asyncio.gather(*(gateway.requests.set_volume("test", each) for each in (10, 20, 30)))
        assert [answer["detail"] for answer in answers] == ["10", "20", "30"]

    with HostileBroker(on_publish=appliance(volume=volume)) as broker:
        ask(broker, scenario)


def test_the_history_comes_at_the_response_topic() -> None:
    told = {"command": "history", "lines": [{"id": "a", "status": "finished"}], "next": "c2", "private": False}
    asked_for: list[Any] = []

    def history(broker: HostileBroker, packet: Packet, asked: Any) -> None:
        asked_for.append(asked)
        reply(broker, packet, told)

    async def scenario(gateway: ApplianceClient) -> None:
        assert await gateway.requests.history("test", 20, "c1") == told
        assert (asked_for[-1]["limit"], asked_for[-1]["before"]) == (20, "c1")

    with HostileBroker(on_publish=appliance(history=history)) as broker:
        ask(broker, scenario)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"command": "history", "ok": False, "detail": "the disk fails"}, "the disk fails"),
        ({"command": "history"}, "its answer has no lines; update it"),
        ({"lines": "all", "ok": True}, "its answer has no lines; update it"),
        ({"lines": [{"id": "a"}, 7]}, "its answer has no lines; update it"),
    ],
)
def test_an_unusable_history(answer: dict[str, Any], sentence: str) -> None:
    def history(broker: HostileBroker, packet: Packet, _asked: Any) -> None:
        reply(broker, packet, answer)

    async def scenario(gateway: ApplianceClient) -> None:
        error = await error_of(gateway.requests.history("test"))
        assert (error.status, str(error)) == (502, f"test does not show its history: {sentence}")

    with HostileBroker(on_publish=appliance(history=history)) as broker:
        ask(broker, scenario)


def test_an_earlier_appliance_does_not_know_the_command() -> None:
    def history(broker: HostileBroker, _packet: Packet, asked: Any) -> None:
        event(broker, "command", command="history", ok=False, detail="unknown", transaction=asked["transaction"])

    async def scenario(gateway: ApplianceClient) -> None:
        error = await error_of(gateway.requests.history("test"))
        assert (error.status, str(error)) == (502, "test does not show its history: unknown")

    with HostileBroker(on_publish=appliance(history=history)) as broker:
        ask(broker, scenario)


def test_no_answer() -> None:
    async def scenario(gateway: ApplianceClient) -> None:
        requests = gateway.requests
        error = await error_of(requests.say("test", {"text": "Hi."}))
        assert (error.status, str(error)) == (504, "test has not answered within 0.3 s")
        broker.publish("ishowtts/test/availability", b"offline")
        await until(lambda: gateway.directory.records["test"].availability)
        error = await error_of(requests.say("test", {"text": "Hi."}))
        assert str(error) == "test is offline; the line waits at the broker until it is back"
        error = await error_of(requests.command("test", {"command": "skip"}))
        assert str(error) == "test is offline; start it"
        broker.on_publish = confirm_with(0x10)
        error = await error_of(requests.command("test", {"command": "skip"}))
        assert str(error) == "test is not connected to the broker: nobody subscribes to ishowtts/test/command"

    with HostileBroker() as broker:
        ask(broker, scenario)


def test_what_cannot_be_sent() -> None:
    async def scenario(gateway: ApplianceClient) -> None:
        requests = gateway.requests
        for work, status in (
            (requests.say("attic", {"text": "Hi."}), 404),
            (requests.say("<script>", {"text": "Hi."}), 404),
            (requests.say("test", {"text": float("nan")}), 400),
            (requests.say("test", {"text": "x" * 70_000}), 413),
            (requests.history("test", 0), 400),
            (requests.history("test", 101), 400),
            (requests.history("test", 50, "x" * 201), 400),
        ):
            assert (await error_of(work)).status == status
        waiting = [asyncio.ensure_future(error_of(requests.command("test", {"command": "skip"}))) for _ in range(200)]
        await asyncio.sleep(0)
        assert (await error_of(requests.command("test", {"command": "skip"}))).status == 429
        assert {error.status for error in await asyncio.gather(*waiting)} <= {503, 504}

    with HostileBroker() as broker:
        ask(broker, scenario)


@pytest.mark.parametrize(
    ("configured", "refused", "controls"),
    [
        ("none", False, (False, False, False, True)),
        ("say", False, (True, False, False, True)),
        ("say", True, (True, False, False, False)),
        ("all", True, (True, True, True, False)),
        ("auto", True, (False, False, False, False)),
        ("auto", False, (True, True, True, True)),
    ],
)
def test_controls(configured: str, refused: bool, controls: tuple[bool, bool, bool, bool]) -> None:
    async def scenario(gateway: ApplianceClient) -> None:
        record = gateway.directory.records["test"]
        broker.publish("ishowtts/test/info", b'{"voices_over_mqtt": true, "instance": "1"}')
        await error_of(gateway.requests.history("test"))
        wanted = dict(zip(("say", "command", "voices", "history"), controls, strict=True))
        await until(lambda: record.controls == wanted)
        for work, allowed in (
            (gateway.requests.say("test", {"text": "Hi."}), controls[0]),
            (gateway.requests.command("test", {"command": "skip"}), controls[1]),
            (gateway.requests.set_volume("test", 5), controls[1]),
        ):
            error = await error_of(work)
            assert (error.status == 403) == (not allowed)
        if refused and configured == "auto":
            assert "the broker does not let the gateway's user do that" in str(error)
            broker.on_publish = None
            await gateway.requests.probe("test")
            assert record.controls == {"say": True, "command": True, "voices": True, "history": True}

    with HostileBroker(on_publish=confirm_with(0x87 if refused else 0, "ishowtts/test/command")) as broker:
        ask(broker, scenario, controls=configured)


def test_appliances_that_are_gone_are_not_remembered_as_forbidden() -> None:
    async def scenario(gateway: ApplianceClient) -> None:
        gateway.requests._forbidden.add("gone")
        assert (await error_of(gateway.requests.probe("test"))).status == 502
        assert [gateway.requests.forbidden(name) for name in ("test", "gone")] == [True, False]

    with HostileBroker(on_publish=confirm_with(0x87, "ishowtts/test/command")) as broker:
        ask(broker, scenario)


def test_over_mqtt_3_1_1() -> None:
    def say(broker: HostileBroker, _packet: Packet, line: Any) -> None:
        event(broker, "accepted", id=line["id"])

    async def scenario(gateway: ApplianceClient) -> None:
        assert (await gateway.requests.say("test", {"text": "Hi."}))["event"] == "accepted"
        error = await error_of(gateway.requests.history("test"))
        assert str(error) == "older lines need MQTT 5; set mqtt.protocol: 5"
        await gateway.requests.probe("test")
        assert broker.received_of(mqtt.PUBLISH, "ishowtts/test/command") == []

    with HostileBroker(on_publish=appliance(say=say)) as broker:
        ask(broker, scenario, mqtt_keys={"protocol": "3.1.1"})


def test_the_reply_topic_is_our_own() -> None:
    first, second = (new_reply_root("ishowtts", "gateway") for _ in range(2))
    assert first.startswith("ishowtts/reply/gateway/")
    assert first != second
    for hostile in ("a/b", "a+", "#", "", "x" * 65, "a\0", None):
        assert new_reply_root("home/tts", hostile).startswith("home/tts/reply/gateway/")

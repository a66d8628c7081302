"""The gateway sends voices to a real daemon over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ishowtts.config import Config
from ishowtts.limits import VOICE_RECORDING_BYTES
from ishowtts.model import VoiceAbout, VoicePart
from ishowtts.mqtt.voice_payload import parse_voice_request
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances import voice_upload
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.appliances.voice_upload import VoicePublisher
from ishowtts_gateway.gateway_error import GatewayError
from support import mqtt_packets as mqtt
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.voice_sender import WORDS, speech, wait_for_voices


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return speech(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Appliance]]:
    """A broker, and a daemon that takes voices."""
    folder: Path = tmp_path_factory.mktemp("board")
    (folder / "broker").mkdir()
    engine = {"kind": "espeak", "f5": {"voices_over_mqtt": True}}
    with Broker(folder / "broker") as broker, Client(broker.host, broker.port) as client:
        client.subscribe("ishowtts/test/#")
        with Appliance(folder, broker, {"engine": engine}, quick_s=0.3) as appliance:
            wait_for_voices(client, appliance.root)
            yield broker, appliance


@asynccontextmanager
async def requests_of(broker: Broker, device: str = "test") -> AsyncIterator[ApplianceRequests]:
    """The requests of a gateway that knows what the device takes, or that it is offline."""
    mqtt = {"host": broker.host, "port": broker.port}
    gateway = ApplianceClient(Config(mqtt=mqtt, gateway={"devices": device}), f"ishowtts/{device}")
    async with gateway.connected():
        record = gateway.directory.records[device]
        with gateway.directory.watch() as changes:
            async for _ in changes:
                if record.info is not None and record.availability is not None:
                    break
        yield gateway.requests


async def refusal(request: Awaitable[Any]) -> tuple[int, str]:
    with pytest.raises(GatewayError) as caught:
        await request
    return caught.value.status, str(caught.value)


def test_a_voice_is_added_and_removed(board: tuple[Broker, Appliance], recording: bytes) -> None:
    async def scenario() -> None:
        async with requests_of(board[0]) as requests:
            assert requests.controls("test")["voices"]
            added = await requests.add_voice("test", "anna", audio=recording, text=WORDS, language="en")
            assert (added["command"], added["ok"], added["voice"]) == ("voice_add", True, "anna"), added
            again = requests.add_voice("test", "anna", audio=recording, text=WORDS)
            assert await refusal(again) == (409, "test has a voice 'anna'; send replace = true, or use another name")
            removed = await requests.remove_voice("test", "anna")
            assert (removed["command"], removed["ok"], removed["voice"]) == ("voice_remove", True, "anna")
            assert not (await requests.remove_voice("test", "anna"))["ok"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("before", "after", "replace", "told"),
    [
        ({}, {}, False, None),
        ({"voices": ["bob"]}, {"voices": ["bob"]}, False, None),
        ({"voices": ["anna"], "removable_voices": ["anna"]}, None, False, "has a voice 'anna'"),
        ({}, {"voices": ["anna"], "removable_voices": ["anna"]}, False, "has a voice 'anna'"),
        ({"voices": ["anna"], "removable_voices": ["anna"]}, {}, True, None),
        ({"voices": ["anna"], "removable_voices": []}, None, True, "was not added over MQTT"),
    ],
)
def test_a_name_that_is_taken_is_a_conflict(
    before: dict[str, Any], after: dict[str, Any] | None, replace: bool, told: str | None
) -> None:
    """`after`: what the appliance says of its voices once it has refused; `None`: nothing is sent to it."""
    record = SimpleNamespace(name="test", root="ishowtts/test", info=before)
    refused = {"ok": False, "detail": "no"}

    class Refusing:
        arrived = False
        broker_max_packet_bytes = None

        async def publish(self, _topic: str, _payload: bytes) -> bool:
            assert after is not None
            record.info = after
            return True

        async def wait(self, _timeout_s: float) -> dict[str, Any]:
            return refused

    @asynccontextmanager
    async def expect(_device: str, _upload: str) -> AsyncIterator[Any]:
        yield Refusing()

    publisher = VoicePublisher(cast(Any, Refusing()), expect)
    adding = publisher.add(cast(Any, record), "anna", b"x", VoiceAbout(WORDS, replace, None))
    if told is None:
        assert asyncio.run(adding) == refused
        return
    status, sentence = asyncio.run(refusal(adding))
    assert (status, told in sentence) == (409, True), sentence


@pytest.mark.parametrize(
    ("max_bytes", "size", "messages"),
    [
        (None, 100_000, 4),
        (1_000_000, 100_000, 4),
        (44_000, 100_000, 4),
        (4_096, 100_000, 34),  # 2,775 bytes beside the words, then 2,985 in each
        (1_000, 2_000, 4),
        (1_000, 1, 1),
        (300, 10, None),  # no room for the words
        (4_096, 12_000_000, None),  # more than 1,000 messages
    ],
)
def test_a_message_is_no_larger_than_the_broker_takes(max_bytes: int | None, size: int, messages: int | None) -> None:
    record = SimpleNamespace(name="test", root="ishowtts/test", info={})
    audio, words = bytes(number % 251 for number in range(size)), 'Größe "and" words ' * 10
    sent: list[tuple[str, bytes]] = []

    class Link:
        arrived = False
        broker_max_packet_bytes = max_bytes

        async def publish(self, topic: str, payload: bytes) -> bool:
            sent.append((topic, payload))
            return True

        async def wait(self, _timeout_s: float) -> dict[str, Any]:
            return {"ok": True}

    @asynccontextmanager
    async def expect(_device: str, _upload: str) -> AsyncIterator[Any]:
        yield Link()

    publisher = VoicePublisher(cast(Any, Link()), expect)
    adding = publisher.add(cast(Any, record), "anna", audio, VoiceAbout(words, False, "de"))
    if messages is None:
        status, sentence = asyncio.run(refusal(adding))
        assert (status, "max_packet_size" in sentence, sent) == (413, True, [])
        return
    asyncio.run(adding)
    parts = [parse_voice_request("anna", payload) for _, payload in sent]
    assert all(isinstance(part, VoicePart) for part in parts), parts
    assert [(part.part, part.parts) for part in parts] == [(number, messages) for number in range(messages)]
    assert b"".join(part.data for part in parts) == audio
    assert parts[0].about == VoiceAbout(words, False, "de")
    if max_bytes is not None:
        assert max(len(mqtt.publish(5, topic, payload, qos=1)) for topic, payload in sent) <= max_bytes


def test_a_large_recording_is_not_sent_to_its_end_once_it_is_refused(
    board: tuple[Broker, Appliance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_upload, "_taken", lambda *_: None)  # the gateway itself would refuse this name

    async def scenario() -> None:
        async with requests_of(board[0]) as requests:
            published = 0
            publish = requests._link.publish

            async def counted(*arguments: Any, **named: Any) -> bool:
                nonlocal published
                published += 1
                return await publish(*arguments, **named)

            requests._link.publish = counted  # type: ignore[method-assign]
            refused = await requests.add_voice("test", "default", audio=bytes(VOICE_RECORDING_BYTES), text=WORDS)
            assert "is the operator's" in refused["detail"]
            assert published < VOICE_RECORDING_BYTES / 32_768 / 2

    asyncio.run(scenario())


def test_what_cannot_become_a_voice_is_not_sent(board: tuple[Broker, Appliance]) -> None:
    async def scenario() -> None:
        async with requests_of(board[0]) as requests:
            for name, audio, text, expected in (
                ("../x", b"x", WORDS, (400, "not a valid name of a voice")),
                ("anna", b"", WORDS, (400, "the recording is empty")),
                ("anna", bytes(VOICE_RECORDING_BYTES + 1), WORDS, (413, "more than 12 MB")),
                ("anna", b"x", " ", (400, "the words of the recording are missing")),
                ("anna", b"x", "words " * 1000, (413, "the words have more than 4000 bytes")),
            ):
                status, told = await refusal(requests.add_voice("test", name, audio=audio, text=text))
                assert (status, expected[1] in told) == (expected[0], True), told

    asyncio.run(scenario())


def test_an_appliance_that_is_away_is_told_at_once(board: tuple[Broker, Appliance], recording: bytes) -> None:
    async def scenario() -> None:
        async with requests_of(board[0], "ghost") as requests:
            status, told = await refusal(requests.add_voice("ghost", "anna", audio=recording, text=WORDS))
            assert (status, told) == (
                502, "ghost takes no voices now: it is offline, or engine.f5.voices_over_mqtt is false there",
            )  # fmt: skip

    with Client(board[0].host, board[0].port) as client:
        client.publish("ishowtts/ghost/info", {"voices_over_mqtt": True}, retain=True)
        client.publish("ishowtts/ghost/availability", "offline", retain=True)
    asyncio.run(scenario())


def test_an_appliance_that_takes_no_voices_is_told_apart(
    make_appliance: Callable[..., Appliance], broker: Broker, recording: bytes
) -> None:
    async def scenario() -> None:
        async with requests_of(broker) as requests:
            assert not requests.controls("test")["voices"]
            status, told = await refusal(requests.add_voice("test", "anna", audio=recording, text=WORDS))
            assert (status, "engine.f5.voices_over_mqtt is not true there" in told) == (403, True)

    make_appliance()
    asyncio.run(scenario())

"""The daemon renders texts for others, over a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderSound, parse_part
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

TEXT = "This is the first sentence of several. Here comes the second one, a bit longer. And here it ends, as it must."
QUICK = ["--segment-bytes", "60", "--cost-s", "0.05"]


class Listener:
    """A requester with a response topic of its own."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.topic = f"ishowtts/reply/{name}"
        client.subscribe(self.topic)
        self._asked = 0

    def ask(self, text: str, **fields: Any) -> bytes:
        self._asked += 1
        correlation = f"{self._asked}".encode()
        self._client.publish(
            f"{Appliance.root}/render",
            {"text": text, **fields},
            ResponseTopic=self.topic,
            CorrelationData=correlation,
        )
        return correlation

    def cancel(self, correlation: bytes) -> None:
        self._client.publish(
            f"{Appliance.root}/render/cancel", "", ResponseTopic=self.topic, CorrelationData=correlation
        )

    def parts(self, correlation: bytes) -> list[RenderPart]:
        found = [m for m in self._client.on(self.topic) if m.correlation == correlation]
        parts = [part for m in found if (part := parse_part(m.payload, m.user)) is not None]
        assert len(parts) == len(found)
        return parts

    def ended(self, correlation: bytes) -> bool:
        parts = self.parts(correlation)
        return bool(parts) and isinstance(parts[-1], (RenderEnd, RenderError))

    def await_end(self, correlation: bytes) -> list[RenderPart]:
        eventually(lambda: self.ended(correlation), "the last part of a render", 60)
        return self.parts(correlation)


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    folder = tmp_path_factory.mktemp("renders")
    (folder / "broker").mkdir()
    with Broker(folder / "broker") as broker, Appliance(folder, broker, quick_s=0.5, quick=QUICK) as appliance:
        appliance.broker = broker  # type: ignore[attr-defined]
        yield appliance


@pytest.fixture
def client(appliance: Appliance) -> Iterator[Client]:
    broker: Broker = appliance.broker  # type: ignore[attr-defined]
    with Client(broker.host, broker.port) as client:
        appliance.wait_ready(client)
        yield client


def counts(client: Client) -> dict[str, int]:
    """The counts of renders in the newest telemetry."""
    client.wait_for(f"{Appliance.root}/telemetry")
    found: dict[str, int] = client.on(f"{Appliance.root}/telemetry")[-1].json["renders"]
    return found


def test_a_text_comes_back_as_sound_and_leaves_no_trace(appliance: Appliance, client: Client) -> None:
    listener = Listener(client, "sound")
    parts = listener.await_end(listener.ask(TEXT, format="wav"))
    assert [part.part for part in parts[:3]] == ["queued", "head", "audio"]
    head, end = parts[1], parts[-1]
    assert isinstance(head, RenderHead)
    assert isinstance(end, RenderEnd)
    sound = b"".join(part.data for part in parts if isinstance(part, RenderSound))
    assert (head.format, head.rate_hz) == (SoundFormat.WAV, 24_000)
    assert [part.seq for part in parts if isinstance(part, RenderSound)] == list(range(end.parts))
    assert (len(sound) - 44) / 2 == pytest.approx(3 * 0.5 * 24_000, abs=10)
    assert end.audio_s == pytest.approx(3 * 0.5, abs=0.001)
    assert appliance.events(client) == []


def test_a_request_that_breaks_the_contract_is_answered_in_words(client: Client) -> None:
    listener = Listener(client, "bad")
    (error,) = listener.await_end(listener.ask("Hello.", format="aac"))
    assert isinstance(error, RenderError)
    assert error.reason == "bad_field"
    assert "mp3" in error.detail


def test_lines_and_other_clients_go_on_beside_many_renders(appliance: Appliance, client: Client) -> None:
    many, other = Listener(client, "many"), Listener(client, "other")
    asked = [many.ask(TEXT) for _ in range(12)]
    line_id = appliance.say(client, TEXT)
    one = other.ask(TEXT)
    assert appliance.final(client, line_id)["event"] == "finished"
    other.await_end(one)
    assert len([each for each in asked if many.ended(each)]) < len(asked), "the others' renders go on"
    many.cancel(asked[-1])
    assert isinstance(many.await_end(asked[-1])[-1], RenderError)
    for each in asked[:-1]:
        assert isinstance(many.await_end(each)[-1], RenderEnd)


def test_the_renders_of_a_requester_that_has_gone_are_cancelled(appliance: Appliance, client: Client) -> None:
    before = counts(client)["cancelled"]
    with Client(*client.address) as gone:
        listener = Listener(gone, "gone")
        for _ in range(5):
            listener.ask(TEXT)
        eventually(lambda: gone.on(listener.topic), "the first part")
    eventually(lambda: counts(client)["cancelled"] >= before + 4, "the ends of its renders")
    eventually(lambda: counts(client)["active"] + counts(client)["waiting"] == 0, "no open render")


def test_open_renders_are_told_when_the_daemon_stops(tmp_path: Path, broker: Broker) -> None:
    with Client(broker.host, broker.port) as client, Appliance(tmp_path, broker, quick_s=0.5, quick=QUICK) as appliance:
        appliance.wait_ready(client)
        listener = Listener(client, "stop")
        asked = [listener.ask(TEXT) for _ in range(8)]
        eventually(lambda: listener.parts(asked[0]), "the first render")
        appliance.stop()
        last = [listener.await_end(each)[-1] for each in asked]
        assert {part.reason for part in last if isinstance(part, RenderError)} == {"stopping"}

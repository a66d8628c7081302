"""Renders on appliances that a script plays, over a real mosquitto."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ishowtts.config import Config
from ishowtts.model import SoundFormat
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.renders.render_client import RenderClient, RenderVoice
from support.broker import Broker
from support.gateway_waiting import until
from support.scripted_board import Fault, Script, ScriptedBoard, tone

pytestmark = pytest.mark.xdist_group("renders")

SECOND = 48_000
"""Bytes of PCM."""


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("renders")) as broker:
        yield broker


@pytest.fixture
def make_board(shared_broker: Broker, request: pytest.FixtureRequest) -> Iterator[Callable[..., ScriptedBoard]]:
    """`make_board("kitchen", script=…)`. Each test has a prefix of its own."""
    with ExitStack() as stack:

        def make(name: str = "kitchen", **options: Any) -> ScriptedBoard:
            board = ScriptedBoard(shared_broker.host, shared_broker.port, name, prefix=prefix_of(request), **options)
            return stack.enter_context(board)

        yield make


@pytest.fixture
def run(
    shared_broker: Broker, request: pytest.FixtureRequest
) -> Callable[[Callable[[RenderClient], Awaitable[None]]], None]:
    """Run a scenario with a client that has found the boards."""

    def run_scenario(
        scenario: Callable[[RenderClient], Awaitable[None]], boards: int = 1, unread_bytes: int | None = None
    ) -> None:
        async def main() -> None:
            mqtt = {"host": shared_broker.host, "port": shared_broker.port, "prefix": prefix_of(request)}
            made = ApplianceClient(Config(mqtt=mqtt, gateway={"devices": "+"}), "ishowtts/test")
            if unread_bytes is not None:
                made.renders._budget._max_bytes = unread_bytes
            async with made.connected(sync_history=False):
                await until(lambda: made.link.connected and sum(map(_known, made.directory.records.values())) == boards)
                await scenario(made.renders)
                assert (made.renders.running, made.renders.unread_bytes) == (0, 0)

        asyncio.run(main())

    return run_scenario


def prefix_of(request: pytest.FixtureRequest) -> str:
    return "".join(char for char in request.node.name.lower() if char.isalnum())[:60]


def _known(record: ApplianceRecord) -> bool:
    return record.online and None not in (record.state, record.info, record.telemetry)


async def read(renders: RenderClient, sound_format: SoundFormat = SoundFormat.PCM, **options: Any) -> bytes:
    """The whole sound of a text."""
    async with renders.render("Hello.", format=sound_format, **{"client": "a", **options}) as stream:
        sound = b"".join([piece async for piece in stream])
        assert stream.end is not None
        return sound


def test_sound_comes_as_it_was_sent_in_every_format(make_board: Any, run: Any) -> None:
    board = make_board(script=Script(segments=2, segment_s=1.0))

    async def scenario(client: RenderClient) -> None:
        for sound_format in set(SoundFormat) - {SoundFormat.OPUS}:  # libopus writes another serial number each time
            sound = await read(client, sound_format, voice="anna", speed=1.5, language="en", author="Ann")
            expected = tone("pcm", 1.0) * 2 if sound_format is SoundFormat.PCM else tone(sound_format.value, 2.0)
            assert sound == expected, sound_format

    run(scenario)
    fields = board.asked[0].fields
    assert (fields["text"], fields["voice"], fields["speed"], fields["language"]) == ("Hello.", "anna", 1.5, "en")
    assert (fields["author"], fields["ttl_s"]) == ("Ann", 60)
    assert board.asked[0].properties.MessageExpiryInterval == 60


def test_each_client_has_a_response_topic_of_its_own(make_board: Any, run: Any) -> None:
    board = make_board()

    async def scenario(client: RenderClient) -> None:
        for name in ("a", "b", "a"):
            await read(client, client=name)

    run(scenario)
    topics = [asked.key[0] for asked in board.asked]
    assert topics[0] == topics[2] != topics[1]
    assert len({asked.key[1] for asked in board.asked}) == 3


def test_the_voices_of_all_boards_that_render_are_known(make_board: Any, run: Any) -> None:
    make_board(voices={"anna": "de", "bob": None})
    make_board("hall", voices={"anna": "en", "No name!": "en", "eve": "no tag!"})
    make_board("attic", voices={"zoe": "en"}, info={"limits": {"max_chars": 1000, "max_lines": 100, "renders": 0}})

    async def scenario(client: RenderClient) -> None:
        await until(lambda: len(client.voices()) == 3)
        assert client.voices() == [
            RenderVoice("anna", ("de", "en"), ("hall", "kitchen")),
            RenderVoice("bob", (), ("kitchen",)),
            RenderVoice("eve", (), ("hall",)),
        ]
        for _ in range(3):
            await read(client, voice="bob")
        with pytest.raises(GatewayError, match=r"no appliance has this voice; there are: anna, bob, eve") as found:
            await read(client, voice="zack")
        assert found.value.status == 400
        with pytest.raises(GatewayError, match="there is no device cellar") as found:
            await read(client, device="cellar")
        assert found.value.status == 404
        with pytest.raises(GatewayError, match=r"attic renders nothing for others \(limits.renders\)"):
            await read(client, device="attic")

    run(scenario, boards=3)


@pytest.mark.parametrize("fault", ["error", "dies", "silent"])
def test_another_board_renders_if_one_has_no_sound(make_board: Any, run: Any, fault: Fault, monkeypatch: Any) -> None:
    monkeypatch.setattr("ishowtts_gateway.renders.render_stream._ANSWER_S", 0.3)
    make_board(script=Script(fault=fault, reason="busy"), state={"queue_depth": 0})
    spare = make_board("hall", state={"queue_depth": 9})

    async def scenario(client: RenderClient) -> None:
        assert len(await read(client)) == 0.6 * SECOND

    run(scenario, boards=2)
    assert len(spare.asked) == 1


@pytest.mark.parametrize("after_parts", [0, 1])
def test_a_board_that_has_died_is_noticed_before_its_will(
    make_board: Any, run: Any, after_parts: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ishowtts_gateway.renders.render_stream._PROBE_S", 0.05)
    board = make_board(script=Script(fault="no_end", after_parts=after_parts), state={"queue_depth": 0})
    make_board("hall", state={"queue_depth": 9})

    async def scenario(client: RenderClient) -> None:
        reading = asyncio.ensure_future(read(client))
        await until(lambda: board.asked)
        board._client.unsubscribe(f"{board.root}/render/cancel")
        if after_parts:
            with pytest.raises(GatewayError, match="kitchen is not connected any more"):
                await reading
        else:
            assert len(await reading) == 0.6 * SECOND

    run(scenario, boards=2)


def test_a_board_that_is_forgotten_before_it_is_asked_is_passed_over(
    make_board: Any, run: Any, monkeypatch: Any
) -> None:
    make_board()

    async def scenario(client: RenderClient) -> None:
        monkeypatch.setattr(client, "boards", lambda *_: ["forgotten", "kitchen"])
        assert len(await read(client)) == 0.6 * SECOND

    run(scenario)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(fault="error", reason="filtered", detail="not that word"), (400, "kitchen: not that word")),
        (Script(fault="error", reason="too_long"), (413, "kitchen: ")),
        (Script(fault="error", reason="busy", detail="later"), (429, "kitchen: later")),
        (Script(fault="error", reason="stopping"), (503, "kitchen: ")),
        (Script(fault="error", reason="expired"), (504, "kitchen: ")),
        (Script(fault="error", reason="new_one"), (502, "kitchen: ")),
        (Script(fault="error", after_parts=1), (502, "kitchen: ")),
        (Script(fault="dies", after_parts=1), (502, "kitchen went offline")),
        (Script(fault="gap", after_parts=1), (502, "kitchen: a part of the sound is missing")),
        (Script(fault="gap", after_parts=3), (502, "kitchen: a part of the sound is missing")),
        (Script(fault="no_end", after_parts=2), (504, "kitchen has sent no sound for")),
    ],
)
def test_a_render_that_breaks_off_is_a_sentence(
    make_board: Any, run: Any, script: Script, expected: tuple[int, str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("ishowtts_gateway.renders.render_stream._NEXT_SOUND_S", 0.3)
    board = make_board(script=script)

    async def scenario(client: RenderClient) -> None:
        with pytest.raises(GatewayError, match=expected[1]) as found:
            await read(client)
        assert found.value.status == expected[0]
        if script.fault == "no_end":
            await until(lambda: board.cancelled)

    run(scenario)
    assert len(board.asked) == 1


@pytest.mark.parametrize("fault", ["garbage", "twice"])
def test_replies_that_nobody_needs_are_ignored(make_board: Any, run: Any, fault: Fault) -> None:
    make_board(script=Script(fault=fault))

    async def scenario(client: RenderClient) -> None:
        assert await read(client) == tone("pcm", 0.2) * 3

    run(scenario)


def test_leaving_early_cancels_the_render(make_board: Any, run: Any) -> None:
    board = make_board(script=Script(cost_s=30))

    async def scenario(client: RenderClient) -> None:
        async with client.render("Hello.", format=SoundFormat.PCM, client="a") as stream:
            assert (await stream.head()).rate_hz == 24_000
            assert stream.device == "kitchen"
        await until(lambda: board.cancelled)
        waiting = asyncio.create_task(read(client))
        await until(lambda: len(board.asked) == 2)
        waiting.cancel()
        await until(lambda: len(board.cancelled) == 2)

    run(scenario)
    assert board.cancelled == [asked.key for asked in board.asked]


def test_renders_that_nobody_reads_take_no_more_than_the_budget(make_board: Any, run: Any) -> None:
    """The fullest one ends; a reader that keeps up loses nothing."""
    make_board(script=Script(segments=8, segment_s=1.0, cost_s=0.01))

    async def scenario(client: RenderClient) -> None:
        slow = [client.render("Hello.", format=SoundFormat.PCM, client=f"slow {i}") for i in range(10)]
        await asyncio.gather(*(stream.head() for stream in slow))
        assert len(await read(client, client="quick")) == 8 * SECOND
        await until(lambda: sum(stream._attempt.over for stream in slow if stream._attempt) == 10)
        assert 0 < client.unread_bytes <= 1_000_000
        ended = [stream for stream in slow if stream._attempt and stream._attempt.error]
        assert len(ended) == 8
        with pytest.raises(GatewayError, match="not read fast enough") as found:
            await anext(ended[0])
        assert found.value.status == 503
        for stream in slow:
            await stream.__aexit__(None, None, None)

    run(scenario, unread_bytes=1_000_000)


def test_too_many_renders_of_one_client_are_refused(make_board: Any, run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ishowtts_gateway.renders.render_client._MAX_OF_CLIENT", 2)
    make_board(script=Script(cost_s=30))

    async def scenario(client: RenderClient) -> None:
        open_now = [client.render("Hello.", format=SoundFormat.PCM, client="a") for _ in range(2)]
        for stream in open_now:
            await stream.head()
        with pytest.raises(GatewayError, match="too many renders") as found:
            await read(client)
        assert found.value.status == 429
        async with client.render("Hello.", format=SoundFormat.PCM, client="b") as other:
            await other.head()
        for stream in open_now:
            await stream.__aexit__(None, None, None)

    run(scenario)


def test_a_lost_broker_ends_the_renders(broker: Broker) -> None:
    async def main() -> None:
        mqtt = {"host": broker.host, "port": broker.port}
        made = ApplianceClient(Config(mqtt=mqtt, gateway={"devices": "+"}), "ishowtts/test")
        async with made.connected(sync_history=False):
            await until(made.renders.voices)
            async with made.renders.render("Hello.", format=SoundFormat.PCM, client="a") as stream:
                await stream.head()
                broker.kill()
                with pytest.raises(GatewayError) as found:
                    async for _ in stream:
                        pass
                assert found.value.status == 503
            with pytest.raises(GatewayError) as found:
                await read(made.renders)
            assert found.value.status == 503

    with ScriptedBoard(broker.host, broker.port, script=Script(cost_s=30)):
        asyncio.run(main())


def test_a_text_that_cannot_be_rendered_is_refused_at_once(make_board: Any, run: Any) -> None:
    async def scenario(client: RenderClient) -> None:
        for text, status in ((" \n", 400), ("x" * 4097, 413)):
            with pytest.raises(GatewayError) as found:
                client.render(text, format=SoundFormat.PCM, client="a")
            assert found.value.status == status
        with pytest.raises(GatewayError, match="no appliance can render this now: there is none") as found:
            await read(client)
        assert found.value.status == 503

    run(scenario, boards=0)

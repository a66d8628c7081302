"""The Wyoming server with the client of the library `wyoming`, a real broker, and boards that a script plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from wyoming.audio import AudioChunk
from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from ishowtts_gateway.wyoming_server import event_writer, speech_sender, wyoming_connection
from ishowtts_gateway.wyoming_server.event_writer import event_bytes
from support.broker import Broker
from support.gateway_waiting import until
from support.scripted_board import Script, ScriptedBoard, tone
from support.wyoming_site import WyomingSite, hear, open_wyoming, run_site

pytestmark = pytest.mark.xdist_group("wyoming")

Run = Callable[[Callable[[WyomingSite], Awaitable[None]]], None]
ONE = Script(segments=1, segment_s=0.2)
LONG = Script(segments=200, segment_s=0.2, cost_s=0.02)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("wyoming")) as made:
        yield made


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return "".join(char for char in request.node.name.lower() if char.isalnum())[:60]


@pytest.fixture
def make_board(broker: Broker, prefix: str) -> Iterator[Callable[..., ScriptedBoard]]:
    with ExitStack() as stack:

        def make(name: str = "kitchen", **options: Any) -> ScriptedBoard:
            board = ScriptedBoard(broker.host, broker.port, name, prefix=prefix, **options)
            return stack.enter_context(board)

        yield make


@pytest.fixture
def board(make_board: Callable[..., ScriptedBoard]) -> ScriptedBoard:
    return make_board(script=ONE)


@pytest.fixture
def run(broker: Broker, prefix: str, board: ScriptedBoard) -> Run:
    """Run a scenario with a server that has found the board."""
    return lambda scenario: run_site(broker, prefix, scenario)


def texts(board: ScriptedBoard) -> list[str]:
    """What the board was asked to speak."""
    return [asked.fields["text"] for asked in board.asked]


def test_a_text_is_spoken(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        heard = await site.synthesize("The tea is ready. Come. " * 3)
        assert (heard.sounds, heard.rates_hz, heard.error) == ([tone("pcm", 0.2)], {24_000}, None)
        assert texts(board) == ["The tea is ready. Come. " * 3]  # whole: the appliance splits it better
        assert not {"voice", "language"} & {key for key, value in board.asked[0].fields.items() if value is not None}

    run(scenario)


def test_a_stream_is_spoken_sentence_by_sentence_as_it_comes(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        async with site.connect() as client:
            await client.write_event(SynthesizeStart().event())
            await client.write_event(SynthesizeChunk("The tea is rea").event())
            await client.write_event(SynthesizeChunk("dy. Come to").event())
            event = await client.read_event()  # before the text is complete
            assert event is not None
            assert event.type == "audio-start"
            assert texts(board) == ["The tea is ready."]
            await client.write_event(SynthesizeChunk(" the table").event())
            await client.write_event(Synthesize("The tea is ready. Come to the table").event())  # ignored
            await client.write_event(SynthesizeStop().event())
            types: list[str] = []
            while not types or types[-1] != "synthesize-stopped":
                event = await client.read_event()
                assert event is not None
                types.append(event.type)
            shortened = [kind for kind, before in zip(types, ["", *types], strict=False) if kind != before]
            assert shortened == [
                *("audio-chunk", "audio-stop"),
                *("audio-start", "audio-chunk", "audio-stop"),
                "synthesize-stopped",
            ]
            assert texts(board) == ["The tea is ready.", "Come to the table"]
            # The connection can be used again, for both kinds.
            await client.write_event(Synthesize("Again.").event())
            assert (await hear(client)).sound == tone("pcm", 0.2)

    run(scenario)


def test_a_stream_without_text_ends_as_every_stream(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        for chunks in ([], ["", " "], ["\n\n"]):
            heard = await site.stream(chunks)
            assert (heard.sounds, heard.is_ended, heard.error) == ([b""], True, None)

    run(scenario)
    assert texts(board) == []


def test_a_sentence_without_anything_to_speak_is_left_out(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        async with site.connect() as client:
            await client.write_event(SynthesizeStart().event())
            board.script = Script(fault="error", reason="empty", detail="the text has nothing to speak")
            await client.write_event(SynthesizeChunk("🙂!\n\n").event())
            await until(lambda: len(board.asked) == 1)
            board.script = ONE
            await client.write_event(SynthesizeChunk("It is late.").event())
            await client.write_event(SynthesizeStop().event())
            heard = await hear(client, stream=True)
            assert (heard.sounds, heard.error) == ([tone("pcm", 0.2)], None)

    run(scenario)


VOICES: list[tuple[dict[str, Any] | None, str | None, str | None]] = [
    ({"name": "anna"}, "anna", None),
    ({"name": "Anna"}, "anna", None),
    ({"name": "anna", "speaker": "other"}, "anna", None),
    ({"speaker": "anna"}, "anna", None),
    ({"name": "anna:de"}, "anna", "de"),
    ({"name": "auto"}, None, None),
    ({"name": "auto:de"}, None, "de"),
    ({"language": "pt_BR"}, None, "pt-BR"),
    ({"name": None, "language": None, "other": "x"}, None, None),
    ({}, None, None),
    (None, None, None),
]
"""The voice of a request, and the voice and the language of the render."""


def test_a_voice_is_chosen(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        for wanted, voice, language in VOICES:
            async with site.connect() as client:
                await client.write_event(Event("synthesize", {"text": "Hello.", "voice": wanted}))
                assert (await hear(client)).sound == tone("pcm", 0.2)
            fields = board.asked[-1].fields
            assert (fields.get("voice"), fields.get("language")) == (voice, language)

    run(scenario)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"text": "a", "voice": {"name": "nobody"}}, "no appliance has this voice; there are: anna"),
    ({"text": "a", "voice": {"name": "../anna"}}, "the name of a voice has 1 to 64 characters"),
    ({"text": "a", "voice": {"language": "x" * 99}}, "the language of a voice must be a tag"),
    ({"text": "a", "voice": {"name": 1}}, "`voice` must be an object of texts"),
    ({"text": "a", "voice": "anna"}, "`voice` must be an object of texts"),
    ({"text": "<speak/>", "text_format": "ssml"}, "SSML and others are not spoken"),
    ({"text": " "}, "`text` of `synthesize` is empty"),
    ({"text": 5}, "`synthesize` needs a `text`"),
    ({}, "`synthesize` needs a `text`"),
    ({"text": "a" * 65_537}, "more than 65,536 characters wait to be spoken"),
]


def test_a_mistake_is_one_sentence_and_ends_the_connection(run: Run) -> None:
    async def scenario(site: WyomingSite) -> None:
        for fields, says in MISTAKES:
            (answer,) = await site.send(event_bytes(Event("synthesize", fields)))
            error = Error.from_event(answer)
            assert says in error.text
            assert error.code == "bad-request"

    run(scenario)


def test_mistakes_in_streams_and_garbage(run: Run, board: ScriptedBoard) -> None:
    start = event_bytes(SynthesizeStart().event())

    async def scenario(site: WyomingSite) -> None:
        for parts, says in (
            ((event_bytes(SynthesizeStop().event()),), "`synthesize-stop` came without `synthesize-start`"),
            ((event_bytes(SynthesizeChunk("a").event()),), "`synthesize-chunk` came without `synthesize-start`"),
            ((start, start), "came again before `synthesize-stop`"),
            ((start, b'{"type": "synthesize-chunk"}\n'), "`synthesize-chunk` needs a `text`"),
            ((b"GET / HTTP/1.1\r\n\r\n",), "not a JSON object"),
            ((b"x" * 300_000,), "the header of an event has at most"),
            ((bytes(500_000),), "the header of an event has at most"),
        ):
            (answer,) = await site.send(*parts)
            assert says in Error.from_event(answer).text
        # What is not known is ignored, and what is known is answered.
        async with site.connect() as client:
            for event in (Event("select-program", {"name": "other"}), Event("?"), AudioChunk(1, 1, 1, b"x").event()):
                await client.write_event(event)
            await client.write_event(Ping("a").event())
            answer = await client.read_event()
            assert answer == Pong("a").event()
        await until(lambda: site.server.connections == 0)
        assert board.asked == []

    run(scenario)


def test_an_error_of_the_appliance_is_passed_on(
    run: Run, board: ScriptedBoard, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(site: WyomingSite) -> None:
        board.script = Script(fault="error", reason="filtered", detail="the text has a word of the list")
        heard = await site.synthesize("Hello.")
        assert heard.error == "kitchen: the text has a word of the list"
        assert (heard.code, heard.is_closed, heard.sounds) == ("bad-request", True, [])
        heard = await site.stream(["Hello. How are you?"])
        assert (heard.code, heard.is_closed, heard.sounds) == ("bad-request", True, [])
        board.script = Script(segments=9, fault="gap", after_parts=4)
        heard = await site.synthesize("Hello.")
        assert heard.error == "kitchen: a part of the sound is missing (max_queued_messages of the broker?); try again"
        assert (heard.code, heard.is_closed) == ("failed", True)
        assert len(heard.sound) >= 4 * len(tone("pcm", 0.2))  # what came before is not held back

    run(scenario)
    assert "a Wyoming client at loopback got an error: kitchen: the text has a word" in caplog.text


def test_a_busy_appliance_is_asked_again(run: Run, board: ScriptedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Script(fault="error", reason="busy", detail="32 renders wait already")

    monkeypatch.setattr(speech_sender, "_FIRST_PAUSE_S", 0.05)

    async def scenario(site: WyomingSite) -> None:
        board.script = busy
        speaking = asyncio.ensure_future(site.synthesize("Hello."))
        await until(lambda: len(board.asked) == 2)
        board.script = ONE
        assert (await speaking).sound == tone("pcm", 0.2)
        monkeypatch.setattr(speech_sender, "_BUSY_S", 0.3)
        board.script = busy
        heard = await site.synthesize("Hello.")
        assert (heard.error, heard.code) == ("kitchen: 32 renders wait already", "busy")

    run(scenario)


def test_a_client_that_hangs_up_cancels_its_render(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        board.script = LONG
        for count, events in enumerate(
            (
                [Synthesize("A long text.").event()],
                [SynthesizeStart().event(), SynthesizeChunk("A long text. A").event()],
            ),
            1,
        ):
            async with site.connect() as client:
                for event in events:
                    await client.write_event(event)
                while (received := await client.read_event()) is not None and received.type != "audio-chunk":
                    pass
            await until(lambda count=count: len(board.cancelled) == count)
            await until(lambda: site.server.connections == 0)
        board.script = Script(late_s=60)  # before the first sound
        async with site.connect() as client:
            await client.write_event(Synthesize("A late text.").event())
            await until(lambda: len(board.asked) == 3)
        await until(lambda: len(board.cancelled) == 3)

    run(scenario)


def test_a_client_that_does_not_read_is_cut_off(
    run: Run, board: ScriptedBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_writer, "_WRITE_S", 0.3)

    async def scenario(site: WyomingSite) -> None:
        board.script = Script(segments=300, segment_s=0.5, cost_s=0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
        writer.write(event_bytes(Synthesize("A long text.").event()))
        await until(lambda: site.server.connections == 0 and board.cancelled)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(300 * 24_000)
        writer.close()

    run(scenario)


def test_an_idle_client_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming_connection, "_IDLE_S", 0.1)

    async def scenario(site: WyomingSite) -> None:
        for sent in (b"", event_bytes(SynthesizeStart().event())):
            (answer,) = await site.send(sent)
            assert "the connection was idle for" in Error.from_event(answer).text

    run(scenario)


def test_fifty_clients_at_once_and_describe_in_between(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        board.script = Script(segments=2, segment_s=0.1, cost_s=0.3)
        speaking = [asyncio.ensure_future(site.synthesize(f"Text {number}.")) for number in range(50)]
        await until(lambda: len(board.asked) >= 30)
        info = await site.describe()
        assert info.tts[0].name == "ishowtts"
        assert not all(task.done() for task in speaking)
        for heard in await asyncio.gather(*speaking):
            assert (heard.error, heard.sound) == (None, tone("pcm", 0.1) * 2)
        assert sorted(texts(board)) == sorted(f"Text {number}." for number in range(50))
        assert len({asked.key[0] for asked in board.asked}) == 1  # one address is one client: others get their turns

    run(scenario)


def test_requests_on_one_connection_are_spoken_in_order(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        async with site.connect() as client:
            for number in range(3):
                await client.write_event(Synthesize(f"Text {number}.").event())
            for _ in range(3):
                assert (await hear(client)).sound == tone("pcm", 0.2)
        assert texts(board) == ["Text 0.", "Text 1.", "Text 2."]
        board.script = Script(late_s=60)
        answers = await site.send(event_bytes(Synthesize("Hello.").event()) * 17)
        assert "16 texts wait on this connection already" in Error.from_event(answers[-1]).text

    run(scenario)


def test_a_text_that_is_too_long_for_an_appliance_is_spoken_in_parts(run: Run, board: ScriptedBoard) -> None:
    text = "This is a sentence. " * 500

    async def scenario(site: WyomingSite) -> None:
        heard = await site.synthesize(text)
        assert heard.sounds == [tone("pcm", 0.2) * 3]  # one sound
        assert [len(part) <= 4096 for part in texts(board)] == [True] * 3
        assert " ".join(texts(board)) == text.strip()

    run(scenario)


def test_a_stream_keeps_its_appliance_and_its_sample_rate(
    broker: Broker, prefix: str, make_board: Callable[..., ScriptedBoard]
) -> None:
    boards = [make_board(name, script=ONE) for name in ("attic", "kitchen")]

    async def scenario(site: WyomingSite) -> None:
        assert len((await site.stream(["This is a text. " * 8])).sounds) == 8
        (first,) = [board for board in boards if board.asked]  # a voice does not change in the middle of an answer
        (other,) = [board for board in boards if not board.asked]
        other.script = Script(segments=1, segment_s=0.2, rate_hz=16_000)
        async with site.connect() as client:
            await client.write_event(SynthesizeStart().event())
            first.script, other.script = ONE, Script(fault="error", reason="busy")
            await client.write_event(SynthesizeChunk("First text. S").event())
            while (event := await client.read_event()) is not None and event.type != "audio-stop":
                pass
            first.die()  # another one speaks the rest, at the rate that has been announced
            other.script = Script(segments=4, segment_s=0.25, rate_hz=16_000)
            await until(lambda: not site.client.directory.records[first.name].online)
            await client.write_event(SynthesizeChunk("econd text.").event())
            await client.write_event(SynthesizeStop().event())
            heard = await hear(client, stream=True)
        assert (heard.rates_hz, heard.error) == ({24_000}, None)
        samples = np.frombuffer(heard.sound, "<i2").astype(float)
        assert abs(len(samples) - 24_000) <= 2
        spectrum = np.abs(np.fft.rfft(samples[:24_000]))
        assert np.argmax(spectrum) == 200  # the tone has its height

    run_site(broker, prefix, scenario, boards=2)


def test_the_end_of_the_gateway_ends_what_is_spoken(broker: Broker, prefix: str, board: ScriptedBoard) -> None:
    board.script = LONG

    async def main() -> None:
        async with open_wyoming(broker, prefix) as site:
            clients = [site.connect() for _ in range(3)]
            for client in clients:
                await client.connect()
                await client.write_event(Synthesize("A long text.").event())
                assert (await client.read_event()) is not None
        for client in clients:
            while await client.read_event() is not None:
                pass
            await client.disconnect()
        await until(lambda: board.open == 0)

    asyncio.run(main())


def test_voices_are_listed(run: Run, board: ScriptedBoard) -> None:
    async def scenario(site: WyomingSite) -> None:
        (program,) = (await site.describe()).tts
        assert (program.name, program.installed, program.supports_synthesize_streaming) == ("ishowtts", True, True)
        voices = {voice.name: voice for voice in program.voices}
        assert voices["anna"].languages == ["en"]
        assert {"en", "de", "fr", "zh"} <= set(voices["auto"].languages)  # espeak-ng speaks every language
        assert voices["auto:de"].languages == ["de"]
        assert all(voice.installed and voice.languages for voice in program.voices)
        board.die()  # Home Assistant reads the list once: it does not become shorter
        await until(lambda: not site.client.directory.records["kitchen"].online)
        assert {voice.name for voice in (await site.describe()).tts[0].voices} == voices.keys()
        assert (await site.synthesize("Hello.")).code == "unavailable"
        assert json.dumps(program.to_dict())

    run(scenario)

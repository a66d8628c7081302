"""OpenAI's speech interface, with openai-python and curl, on appliances that a script plays over a real mosquitto."""

from __future__ import annotations

import base64
import io
import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile

from support.broker import Broker
from support.scripted_board import Script, ScriptedBoard, tone
from support.served_gateway import ServedGateway
from support.waiting import eventually

if TYPE_CHECKING:
    import openai

pytestmark = pytest.mark.xdist_group("renders")

TOKEN = "0123456789abcdef"
MEDIA = {"mp3": "audio/mpeg", "opus": "audio/ogg", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm"}


class Site:
    """A broker, two boards and a gateway."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        broker = stack.enter_context(Broker(folder))
        voices = {"anna": "de", "bob": "en"}
        self.kitchen = stack.enter_context(ScriptedBoard(broker.host, broker.port, "kitchen", voices=voices))
        self.hall = stack.enter_context(ScriptedBoard(broker.host, broker.port, "hall", voices={"anna": "de"}))
        self.gateway = stack.enter_context(ServedGateway(broker.host, broker.port, token=TOKEN))
        self.gateway.wait_for_boards("hall", "kitchen")

    def reset(self) -> None:
        for board in (self.kitchen, self.hall):
            board.script = Script()
            board.asked.clear()
            board.cancelled.clear()

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [asked.fields for board in (self.kitchen, self.hall) for asked in board.asked]

    def client(self, **options: Any) -> openai.OpenAI:
        openai = pytest.importorskip("openai")  # here: each process that only collects tests would take 1 s for it
        options = {"api_key": TOKEN, "base_url": f"{self.gateway.url}/v1", "max_retries": 0, **options}
        return openai.OpenAI(**options)

    def curl(self, path: str, *arguments: str, body: object = None) -> tuple[int, Any]:
        """Status and body of a request."""
        sent = [] if body is None else ["-H", "Content-Type: application/json", "-d", "@-"]
        command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {TOKEN}", *sent, *arguments]
        command = [*command, f"{self.gateway.url}{path}"]
        payload = json.dumps(body).encode()
        done = subprocess.run(command, input=payload, capture_output=True, check=True, timeout=20)
        text, _, status = done.stdout.rpartition(b"\n")
        return int(status), text


def error_of(name: str) -> Any:
    """An exception of openai-python."""
    return getattr(pytest.importorskip("openai"), name)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path_factory.mktemp("openai"))


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.reset()
    return shared_site


@pytest.fixture
def client(site: Site) -> Iterator[openai.OpenAI]:
    with site.client() as made:
        yield made


@pytest.mark.parametrize("sound_format", MEDIA)
def test_openai_python_gets_the_sound(site: Site, client: openai.OpenAI, sound_format: Any) -> None:
    made = client.audio.speech.create(model="tts-1", voice="anna", input="Hello.", response_format=sound_format)
    assert made.response.headers["content-type"] == MEDIA[sound_format]
    if sound_format == "pcm":
        assert made.content == tone("pcm", 0.2) * 3
    else:
        sound, rate_hz = soundfile.read(io.BytesIO(made.content))
        assert 0.55 < len(sound) / rate_hz < 0.75
    assert site.asked == [{"text": "Hello.", "format": sound_format, "voice": "anna", "ttl_s": 300}]


def test_sound_is_streamed_as_it_is_made(site: Site, client: openai.OpenAI) -> None:
    for board in (site.kitchen, site.hall):
        board.script = Script(cost_s=0.3)
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="anna", input="Hello.", response_format="pcm"
    ) as response:
        arrived = [(time.monotonic(), len(piece)) for piece in response.iter_bytes()]
    assert sum(size for _, size in arrived) == 28_800
    assert arrived[-1][0] - arrived[0][0] > 0.4


def test_sound_is_streamed_as_events(site: Site, client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="Hello.", response_format="pcm", stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 3 + ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:3]) == tone("pcm", 0.2) * 3
    assert events[3]["usage"] == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"format": "mp3"}),
        ({"voice": None, "speed": None, "response_format": None, "stream_format": None, "model": None}, {}),
        ({"voice": "nova"}, {}),
        ({"voice": "default"}, {}),
        ({"voice": {"id": "bob"}}, {"voice": "bob"}),
        ({"speed": 0.25}, {"speed": 0.5}),
        ({"speed": 4}, {"speed": 2.0}),
        ({"speed": 1.25}, {"speed": 1.25}),
        ({"instructions": "Whisper.", "user": "x", "new_field": [1]}, {}),
        ({"model": "ishowtts:kitchen"}, {}),
        ({"input": "x" * 4096}, {"text": "x" * 4096}),
    ],
)
def test_fields_are_passed_on_as_an_appliance_takes_them(site: Site, fields: Any, expected: Any) -> None:
    status, _ = site.curl("/v1/audio/speech", "-o", "/dev/null", body={"input": "Hello.", **fields})
    assert status == 200
    assert site.asked == [{"text": "Hello.", "format": "mp3", "ttl_s": 300, **expected}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input": None}, (400, "input", "input must be the text")),
        ({"input": 5}, (400, "input", "input must be the text")),
        ({"input": " "}, (400, "input", "input is empty")),
        ({"input": "x" * 4097}, (400, "input", "at most 4096")),
        ({"response_format": "aac"}, (400, "response_format", "aac is not offered here; use one of pcm")),
        ({"response_format": "ogg"}, (400, "response_format", "must be one of pcm, wav, flac, opus, mp3")),
        ({"response_format": ["mp3"]}, (400, "response_format", "must be one of")),
        ({"stream_format": "x"}, (400, "stream_format", "must be audio or sse")),
        ({"stream_format": {}}, (400, "stream_format", "must be audio or sse")),
        ({"speed": 0.2}, (400, "speed", "from 0.25 to 4")),
        ({"speed": 10**400}, (400, "speed", "from 0.25 to 4")),
        ({"speed": True}, (400, "speed", "from 0.25 to 4")),
        ({"speed": "1"}, (400, "speed", "from 0.25 to 4")),
        ({"voice": "nobody"}, (400, "voice", "there are: anna, bob")),
        ({"voice": "../x"}, (400, "voice", "GET /v1/audio/voices lists them")),
        ({"voice": {"name": "anna"}}, (400, "voice", "must have an id")),
        ({"voice": 5}, (400, "voice", "must be the name")),
        ({"model": 5}, (400, "model", "must be a name")),
        ({"model": "ishowtts:../x"}, (404, "model", "there is no such model")),
        ({"model": "ishowtts:cellar"}, (404, "model", "there is no device cellar")),
        ([], (400, "body", "must be an object")),
    ],
)
def test_a_wrong_field_is_named(site: Site, fields: Any, expected: tuple[int, str, str]) -> None:
    body = {"input": "Hello.", **fields} if isinstance(fields, dict) else fields
    status, text = site.curl("/v1/audio/speech", body=body)
    error = json.loads(text)["error"]
    assert (status, error["param"]) == expected[:2]
    assert expected[2] in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["code"]
    assert site.asked == []


def test_a_voice_of_an_appliance_may_have_a_name_of_openai(site: Site) -> None:
    voices = site.gateway.client.directory.records["hall"].info["voices"]
    voices.append("nova")
    status, _ = site.curl("/v1/audio/speech", "-o", "/dev/null", body={"input": "Hello.", "voice": "nova"})
    voices.remove("nova")
    assert (status, site.asked) == (200, [{"text": "Hello.", "format": "mp3", "voice": "nova", "ttl_s": 300}])


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("/v1/audio/speech", ("-d", "x=1"), (415, "Content-Type: application/json")),
        ("/v1/audio/speech", ("-H", "Content-Type: application/json", "-d", "{"), (400, "not JSON")),
        ("/v1/audio/speech", ("-H", "Origin: http://other.example", "-d", "{}"), (403, "another site")),
        ("/v1/audio/speech", (), (405, "does not take that method")),
        ("/v1/audio/transcriptions", (), (404, "nothing at this address")),
        ("/v1/models/tts-9", (), (404, "there is no such model")),
    ],
)
def test_every_fault_has_the_shape_of_openai(site: Site, path: str, arguments: Any, expected: tuple[int, str]) -> None:
    status, text = site.curl(path, *arguments)
    error = json.loads(text)["error"]
    assert status == expected[0]
    assert expected[1] in error["message"]
    assert sorted(error) == ["code", "message", "param", "type"]


def test_a_body_that_is_too_large_is_refused(site: Site) -> None:
    status, text = site.curl("/v1/audio/speech", body={"input": "x" * 140_000})
    assert (status, json.loads(text)["error"]["type"]) == (413, "invalid_request_error")


def test_a_wrong_token_is_an_authentication_error(site: Site) -> None:
    with site.client(api_key="wrong") as client, pytest.raises(error_of("AuthenticationError")) as found:
        client.audio.speech.create(model="tts-1", voice="anna", input="Hello.")
    assert found.value.code == "invalid_api_key"
    assert site.asked == []


@pytest.mark.parametrize("reason", ["busy", "stopping"])
def test_openai_python_tries_again_after_429_and_503(site: Site, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ishowtts_gateway.http.http_response._RENDER_RETRY_S", "0.1")
    site.kitchen.script = Script(fault="error", reason=reason, detail="try later")

    def recover() -> None:
        eventually(lambda: site.kitchen.asked, "the first request")
        site.kitchen.script = Script()

    thread = threading.Thread(target=recover)
    thread.start()
    with site.client(max_retries=5) as client:
        made = client.audio.speech.create(model="ishowtts:kitchen", voice="anna", input="Hello.", response_format="pcm")
    thread.join()
    assert len(made.content) == 28_800
    assert len(site.kitchen.asked) > 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("busy", ("RateLimitError", 429, "rate_limit_error", "rate_limit_exceeded")),
        ("filtered", ("BadRequestError", 400, "invalid_request_error", "filtered")),
        ("failed", ("InternalServerError", 502, "server_error", "failed")),
        ("stopping", ("InternalServerError", 503, "server_error", "stopping")),
        ("expired", ("InternalServerError", 504, "server_error", "expired")),
    ],
)
def test_what_an_appliance_refuses_is_an_error_of_openai_python(
    site: Site, client: openai.OpenAI, reason: str, expected: Any
) -> None:
    for board in (site.kitchen, site.hall):
        board.script = Script(fault="error", reason=reason, detail="because")
    with pytest.raises(error_of(expected[0])) as found:
        client.audio.speech.create(model="tts-1", voice="anna", input="Hello.")
    error = found.value.body
    assert (found.value.status_code, error["type"], error["code"]) == expected[1:]
    assert error["message"].endswith(": because")
    assert found.value.response.headers.get("retry-after") == ("1" if expected[1] in (429, 503) else None)


def test_a_client_that_hangs_up_cancels_its_render(site: Site) -> None:
    for late_s in (0.0, 30.0):  # in mid-stream, and before the first sound
        site.reset()
        site.kitchen.script = Script(cost_s=30, late_s=late_s)
        body = json.dumps({"input": "Hello.", "model": "ishowtts:kitchen", "response_format": "pcm"}).encode()
        with socket.create_connection(("127.0.0.1", site.gateway.port)) as raw:
            raw.sendall(
                b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (TOKEN.encode(), len(body), body)
            )
            eventually(lambda: site.kitchen.asked, "the render")
            if not late_s:
                assert raw.recv(1000).startswith(b"HTTP/1.1 200")
        eventually(lambda: site.kitchen.cancelled, "the cancellation")
        assert site.kitchen.cancelled == [site.kitchen.asked[0].key]
    eventually(lambda: not site.gateway.run(lambda: site.gateway.client.renders.running), "an end")


def test_sound_that_a_client_does_not_read_waits_where_it_is_counted(site: Site) -> None:
    site.kitchen.script = Script(segments=20, segment_s=1.0)
    body = json.dumps({"input": "Hello.", "model": "ishowtts:kitchen", "response_format": "pcm"}).encode()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", site.gateway.port))
        raw.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (TOKEN.encode(), len(body), body)
        )
        renders = site.gateway.client.renders
        eventually(lambda: site.gateway.run(lambda: renders.unread_bytes) > 500_000, "sound that was not read")
    eventually(lambda: not site.gateway.run(lambda: renders.unread_bytes), "nothing")


def test_the_connection_breaks_if_the_sound_breaks_off(site: Site, client: openai.OpenAI) -> None:
    for board in (site.kitchen, site.hall):
        board.script = Script(fault="error", after_parts=2)
    with pytest.raises(error_of("APIConnectionError")):
        client.audio.speech.create(model="tts-1", voice="anna", input="Hello.", response_format="pcm")
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="anna", input="Hello.", response_format="pcm", stream_format="sse"
    ) as response:
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert [event.get("type") for event in events[:-1]] == ["speech.audio.delta"] * 2
    assert events[-1]["error"]["code"] == "failed"


def test_pcm_has_24_khz_whatever_the_engine_makes(site: Site) -> None:
    for board in (site.kitchen, site.hall):
        board.script = Script(rate_hz=22_050, segments=2, segment_s=0.5)
    status, sound = site.curl("/v1/audio/speech", body={"input": "Hello.", "response_format": "pcm"})
    assert (status, len(sound)) == (200, 48_000)


def test_voices_and_models_are_listed(site: Site, client: openai.OpenAI) -> None:
    status, text = site.curl("/v1/audio/voices")
    assert (status, json.loads(text)["voices"]) == (
        200,
        [
            {"id": "default", "name": "default", "languages": [], "devices": ["hall", "kitchen"]},
            {"id": "anna", "name": "anna", "languages": ["de"], "devices": ["hall", "kitchen"]},
            {"id": "bob", "name": "bob", "languages": ["en"], "devices": ["kitchen"]},
        ],
    )
    assert [model.id for model in client.models.list()] == ["ishowtts", "ishowtts:hall", "ishowtts:kitchen"]
    assert client.models.retrieve("ishowtts:hall").object == "model"


def test_fifty_clients_at_once_get_their_sound(site: Site) -> None:
    sounds: list[bytes] = []

    def ask() -> None:
        request = urllib.request.Request(
            f"{site.gateway.url}/v1/audio/speech",
            json.dumps({"input": "Hello.", "response_format": "pcm"}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            sounds.append(response.read())

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sounds == [tone("pcm", 0.2) * 3] * 50
    assert site.kitchen.asked
    assert site.hall.asked

"""What the API makes of a request to an appliance, and of its answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from ishowtts_gateway.gateway_error import GatewayError
from support.served_app import Reply, ServedApp

KITCHEN = "/api/devices/kitchen"


class Recorder:
    """Keeps what is asked of appliances, and answers with `answer`."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Any = {"event": "command", "ok": True}

    def __getattr__(self, name: str) -> Any:
        async def ask(*values: object, **named: object) -> Any:
            self.asked.append((name, *values, named) if named else (name, *values))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return ask


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ServedApp, Recorder]]:
    recorder = Recorder()
    with ServedApp(requests=recorder) as app:
        yield app, recorder


@pytest.fixture
def app(served: tuple[ServedApp, Recorder]) -> ServedApp:
    return served[0]


@pytest.fixture
def recorder(served: tuple[ServedApp, Recorder]) -> Recorder:
    served[1].__init__()  # type: ignore[misc]
    return served[1]


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("say", {"text": "Hi", "voice": "ann"}, ("say", "kitchen", {"text": "Hi", "voice": "ann"}, False)),
        ("say", {"text": "Hi", "urgent": True}, ("say", "kitchen", {"text": "Hi"}, True)),
        ("command", {"command": "skip"}, ("command", "kitchen", {"command": "skip"})),
        ("volume", {"volume": 0}, ("set_volume", "kitchen", 0)),
        ("voice", {"voice": "ann"}, ("set_voice", "kitchen", "ann")),
        ("voice", {"voice": None}, ("set_voice", "kitchen", None)),
    ],
)
def test_a_request_reaches_the_appliance(
    app: ServedApp, recorder: Recorder, path: str, body: object, asked: object
) -> None:
    reply = app.post(f"{KITCHEN}/{path}", body)
    assert (reply.status, json.loads(reply.body)) == (200, recorder.answer)
    assert recorder.asked == [asked]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("say", "Hi", "must be an object"),
        ("say", {"text": "Hi", "urgent": "yes"}, '"urgent" must be true or false'),
        ("volume", {"volume": 101}, "from 0 to 100"),
        ("volume", {"volume": True}, "from 0 to 100"),
        ("volume", {"volume": 5.5}, "from 0 to 100"),
        ("volume", {}, "from 0 to 100"),
        ("voice", {}, "the name of a voice, or null"),
        ("voice", {"voice": "../ann"}, "the name of a voice, or null"),
        ("voice", {"voice": ["ann"]}, "the name of a voice, or null"),
    ],
)
def test_a_bad_request_is_one_sentence(app: ServedApp, recorder: Recorder, path: str, body: object, says: str) -> None:
    reply = app.post(f"{KITCHEN}/{path}", body)
    assert (reply.status, says in reply.error, recorder.asked) == (400, True, [])


def test_a_device_that_is_not_there(app: ServedApp, recorder: Recorder) -> None:
    for reply in (
        app.post("/api/devices/cellar/say", {"text": "Hi"}),
        app.get("/api/devices/cellar"),
        app.get("/api/devices/cellar/series"),
        app.get("/api/devices/cellar/lines"),
        app.ask("DELETE", "/api/devices/cellar/voices/ann"),
    ):
        assert (reply.status, "GET /api/devices" in reply.error) == (404, True)
    assert recorder.asked == []


def test_what_an_appliance_refuses_is_a_fault(app: ServedApp, recorder: Recorder) -> None:
    recorder.answer = {"event": "command", "ok": False, "detail": "nothing is being said"}
    reply = app.post(f"{KITCHEN}/command", {"command": "skip"})
    assert (reply.status, reply.error) == (502, "nothing is being said")
    # A rejected line is an outcome with a reason of the contract.
    recorder.answer = {"event": "rejected", "reason": "empty"}
    assert app.post(f"{KITCHEN}/say", {"text": ""}).status == 200
    for status in (403, 413, 429, 502, 503, 504):
        recorder.answer = GatewayError(status, "a sentence")
        reply = app.post(f"{KITCHEN}/say", {"text": "Hi"})
        assert (reply.status, reply.error) == (status, "a sentence")
        assert ("retry-after" in reply.headers) == (status in (429, 503))


def test_a_fault_of_ours_is_logged_and_told_without_a_traceback(
    app: ServedApp, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.answer = RuntimeError("secret detail")
    reply = app.post(f"{KITCHEN}/say", {"text": "Hi"})
    assert (reply.status, reply.error) == (500, "the gateway has a fault (RuntimeError); its log says more")
    assert "a request failed" in caplog.text


def test_what_is_known_of_a_device(app: ServedApp) -> None:
    app.run(lambda: app.directory.apply("ishowtts/kitchen/volume", b"40"))
    listed = json.loads(app.get("/api/devices").body)
    assert [device["name"] for device in listed["devices"]] == ["kitchen"]
    assert json.loads(app.get(KITCHEN).body)["volume"] == 40


def test_the_series_has_telemetry_and_the_rtf_of_lines(app: ServedApp) -> None:
    def arrive() -> None:
        telemetry = {"ts": "2026-01-01T00:00:00Z", "gpu": {"clock_mhz": 600}, "speech": {"queue_depth": 2}}
        app.directory.apply("ishowtts/kitchen/telemetry", json.dumps(telemetry).encode())
        event = {"event": "finished", "id": "a", "ts": "2026-01-01T00:00:00Z", "rtf": 0.4, "engine": "f5"}
        app.directory.apply("ishowtts/kitchen/event", json.dumps(event).encode())
        cached = {**event, "id": "b", "rtf": 0.0, "cached": True}
        app.directory.apply("ishowtts/kitchen/event", json.dumps(cached).encode())

    app.run(arrive)
    series = json.loads(app.get(f"{KITCHEN}/series").body)
    point = dict(zip(series["columns"], series["points"][-1], strict=True))
    assert (point["gpu_mhz"], point["queue_depth"], point["gpu_c"]) == (600, 2, None)
    assert [row[1:] for row in series["rtf"]] == [[0.4, "f5"]]


def test_older_lines(app: ServedApp, recorder: Recorder) -> None:
    recorder.answer = {"lines": [], "next": None}
    assert app.get(f"{KITCHEN}/lines").status == 200
    assert app.get(f"{KITCHEN}/lines?before=a%26b&limit=7").status == 200
    assert recorder.asked == [("history", "kitchen", 50, None), ("history", "kitchen", 7, "a&b")]
    for limit in ("x", "-1", "1.5", "", "9" * 5000, "\u0663"):
        assert app.get(f"{KITCHEN}/lines?limit={quote(limit)}").status == 400


def upload(app: ServedApp, parts: list[tuple[str, bytes]], name: str = "ann", kind: str | None = None) -> Reply:
    body = b""
    for field, content in parts:
        file = b'; filename="../../etc/passwd"' if field == "audio" else b""
        body += b'--B\r\nContent-Disposition: form-data; name="' + field.encode() + b'"' + file + b"\r\n\r\n"
        body += content + b"\r\n"
    headers = {"Content-Type": kind or "multipart/form-data; boundary=B"}
    return app.ask("PUT", f"{KITCHEN}/voices/{name}", headers, body + b"--B--\r\n")


WHOLE = [("audio", b"RIFF" * 500_000), ("text", "W\u00f6rter".encode()), ("consent", b"true")]


def test_a_voice_is_added_and_removed(app: ServedApp, recorder: Recorder) -> None:
    assert upload(app, [*WHOLE, ("replace", b"true"), ("language", b"de")]).status == 200
    assert upload(app, WHOLE, kind="multipart/form-data; boundary=B; charset=UTF-8").status == 200
    assert not [thread.name for thread in threading.enumerate() if "AnyIO" in thread.name]
    assert app.ask("DELETE", f"{KITCHEN}/voices/ann").status == 200
    whole = {"audio": b"RIFF" * 500_000, "text": "W\u00f6rter", "replace": False, "language": None}
    assert recorder.asked == [
        ("add_voice", "kitchen", "ann", {**whole, "replace": True, "language": "de"}),
        ("add_voice", "kitchen", "ann", whole),
        ("remove_voice", "kitchen", "ann"),
    ]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (WHOLE[:2], "must have agreed"),
        ([*WHOLE[:2], ("consent", b"on")], "must have agreed"),
        (WHOLE[1:], "audio must be a file"),
        ([*WHOLE, ("replace", b"yes")], "replace must be true or false"),
        ([*WHOLE, ("colour", b"red")], "no field 'colour'"),
        ([*WHOLE, ("audio", b"RIFF")], "Too many files"),
        ([*WHOLE, *[("text", b"x")] * 20], "Too many fields"),
        ([*WHOLE[:1], ("text", bytes(100_000))], "exceeded maximum size"),
    ],
)
def test_a_voice_that_is_not_whole_is_refused(
    app: ServedApp, recorder: Recorder, parts: list[tuple[str, bytes]], says: str
) -> None:
    reply = upload(app, parts)
    assert (reply.status, recorder.asked) == (400, [])
    assert says in reply.error


def test_a_form_that_cannot_be_read(app: ServedApp, recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    assert upload(app, WHOLE, name="Ann%2e").status == 400
    assert upload(app, WHOLE, kind="text/plain").status == 415
    assert upload(app, WHOLE, kind="multipart/form-data; boundary=B; charset=punycode").status == 415
    assert upload(app, WHOLE, kind="multipart/form-data").status == 400
    assert upload(app, WHOLE, kind="multipart/form-data; boundary=C").status == 400
    assert upload(app, WHOLE, kind="multipart/form-data; boundary=" + "x" * 5000).status == 400
    assert upload(app, [("audio", bytes(12_400_000))]).status == 413
    assert recorder.asked == []
    assert not caplog.records

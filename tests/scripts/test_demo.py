"""The command line of the demo, and what it prints. The whole demo runs in test_current_folder.py."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts import config
from ishowtts.mqtt.client import Message

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts/demo.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return module


@pytest.fixture
def demo_appliance(demo: ModuleType) -> ModuleType:
    return sys.modules["demo_appliance"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--help"], 0, "starts a private broker"),
        (["-h"], 0, "starts a private broker"),
        (["--engine", "f5"], 2, "--engine f5 needs weights: --model tiny hums"),
        (["--engine", "espeak", "--model", "tiny"], 2, "does not work with"),
        (["--engine", "hibari", "--model", "tiny"], 2, "does not work with --engine hibari"),
        (["--model", "/nonexist"], 2, "there is no folder /nonexist"),
        (["--wav", "x.mp3"], 2, "needs the name of a .wav file"),
        (["--wav", "/nonexist/x.wav"], 2, "/nonexist does not exist"),
        ([" "], 2, "the text is empty"),
        (["--wat"], 2, "unrecognized arguments"),
    ],
)
def test_help_and_wrong_usage_install_nothing(tmp_path: Path, words: list[str], status: int, says: str) -> None:
    """There is no scripts/setup here: a call of it would fail."""
    (tmp_path / "scripts").mkdir()
    for name in ("demo", "demo_arguments.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    done = subprocess.run([tmp_path / "scripts/demo", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, says in " ".join((done.stdout + done.stderr).split())) == (status, True), done


def test_an_existing_file_is_not_replaced_unless_it_is_named(tmp_path: Path, demo: ModuleType) -> None:
    path = tmp_path / "ishowtts-demo.wav"
    assert demo.free_name(path) == path
    path.write_bytes(b"mine")
    assert demo.free_name(path) == tmp_path / "ishowtts-demo-2.wav"
    (tmp_path / "ishowtts-demo-2.wav").write_bytes(b"mine")
    assert demo.free_name(path) == tmp_path / "ishowtts-demo-3.wav"


def test_readings_that_are_not_known_are_left_out(demo_appliance: ModuleType) -> None:
    snapshot: dict[str, Any] = {
        "gpu": {"clock_mhz": None, "temp_c": None},
        "speech": {"lines_total": 1, "rtf": None},
        "memory": {"process_mb": 100.5},
    }
    assert list(demo_appliance.readings(snapshot)) == ["lines 1", "memory of the daemon 100.5 MB"]
    snapshot["gpu"]["clock_mhz"], snapshot["speech"]["rtf"] = 1300, 0.01
    assert list(demo_appliance.readings(snapshot))[1:3] == ["RTF 0.01", "GPU clock 1300 MHz"]


def test_it_says_how_to_go_on(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    demo.show_how_to_go_on("ishowtts/demo", 4321, Path("/tmp/x/config.yaml"))
    out = capsys.readouterr().out
    assert "mosquitto_pub -p 4321 -t ishowtts/demo/say" in out
    assert "/ishowtts say 'A line from elsewhere.' --config /tmp/x/config.yaml" in out


@pytest.mark.parametrize(
    "text",
    ['{"text": "Slowly, please.", "speed": 0.8}', '{"text": "hi", "id": "tea-2"}', "{laughs} hi", "{", ' {"a": 1}'],
)
def test_what_begins_with_a_brace_is_published_as_it_is(demo_appliance: ModuleType, text: str) -> None:
    assert demo_appliance.payload_of(text) == (text.strip(), None)


@pytest.mark.parametrize("text", ["The tea is ready.", 'She said: "Größe {x}"', "[1]", '"{}"'])
def test_a_text_is_published_with_an_id(demo_appliance: ModuleType, text: str) -> None:
    payload, line_id = demo_appliance.payload_of(text)
    assert json.loads(payload) == {"id": line_id, "text": text}


class Published:
    """A client that answers each payload with these events."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.payloads: list[str] = []
        self._events = events

    def subscribe(self, topic: str) -> None:
        assert topic == "demo/#"

    def publish(self, topic: str, payload: str) -> None:
        assert topic == "demo/say"
        self.payloads.append(payload)

    def messages(self, _timeout_s: float) -> Iterator[Message]:
        return iter([Message("demo/event", json.dumps(event).encode()) for event in self._events])


class Alive:
    def poll(self) -> None:
        """It runs."""


def test_the_events_of_an_object_are_found_by_the_first_new_line(
    demo: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Published(
        {"id": "other", "event": "finished"},
        {"id": "x", "event": "accepted"},
        {"id": "other", "event": "failed", "error": "no"},
        {"id": "x", "event": "finished", "engine": "espeak"},
    )
    appliance = demo.Appliance(client, "demo", Alive())
    assert appliance.speak('{"text": "hi", "speed": 0.8}')
    assert client.payloads == ['{"text": "hi", "speed": 0.8}']
    assert [appliance.published(line_id) for line_id in ("x", "other")] == [True, False]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == 'demo | publish: demo/say {"text": "hi", "speed": 0.8}'
    assert [line.split(":")[0:2] for line in out[1:]] == [["demo | event", " accepted"], ["demo | event", " finished"]]


@pytest.mark.parametrize("event", ["rejected", "duplicate"])
def test_an_object_that_is_not_spoken_ends_the_wait(demo: ModuleType, event: str) -> None:
    appliance = demo.Appliance(Published({"id": "x", "event": event, "reason": "bad_json"}), "demo", Alive())
    assert not appliance.speak("{")


@pytest.mark.parametrize("frames", [0, 24])
def test_a_file_without_sound_is_removed(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], frames: int
) -> None:
    wav, settings = tmp_path / "x.wav", tmp_path / "config.yaml"
    settings.write_text(f"audio: {{device: 'wav:{wav}'}}\n")
    demo.show_sound(settings)
    assert capsys.readouterr().out == ""
    soundfile.write(wav, np.zeros(frames), 24_000)
    demo.show_sound(settings)
    assert wav.exists() == (frames > 0)
    assert ("so there is no" in capsys.readouterr().out) == (frames == 0)


def test_the_page_has_its_usual_port_or_another_one_if_that_is_taken(demo: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo.free_port(port) not in (port, 0)
    assert demo.free_port(port) == port


def test_the_page_of_the_demo_can_be_opened(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker does not answer: the gateway starts all the same."""
    path = tmp_path / "config.yaml"
    port, nobody = demo.free_port(), demo.free_port()
    path.write_text(f"{{mqtt: {{port: {nobody}}}, gateway: {{http: {{listen: '127.0.0.1:{port}'}}}}}}\n")
    settings = config.load(path)
    with demo.program("gateway", path, tmp_path / "gateway.log") as gateway:
        demo.show_page(settings, gateway)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert b"<title>iShowTTS</title>" in page.read()
    assert capsys.readouterr().out == f"demo | page: http://127.0.0.1:{port}/ shows all of this in a browser\n"


def test_a_closed_terminal_ends_the_demo(demo: ModuleType) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        demo.end_on_signals()
        with pytest.raises(SystemExit, match="129"):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)  # does not interrupt the stop of the programs
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

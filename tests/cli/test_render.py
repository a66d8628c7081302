"""`ishowtts render`: the sound of a text in a file, from a board that a script plays."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ishowtts.cli import remote_render
from ishowtts.cli.main import main
from ishowtts.cli.sound_output import SoundOutput
from support.appliance import Appliance
from support.broker import Broker, ShippedBroker
from support.client import Client
from support.scripted_board import RATE_HZ, Script, ScriptedBoard, tone
from support.waiting import eventually

Render = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def board(broker: Broker) -> Iterator[ScriptedBoard]:
    with ScriptedBoard(broker.host, broker.port, "renders", voices={"anna": "en", "ben": "de"}) as board:
        yield board


@pytest.fixture
def render(
    broker: Broker, board: ScriptedBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Render]:  # fmt: skip
    config = tmp_path / "config.json"
    mqtt = {"host": broker.host, "port": broker.port}
    config.write_text(json.dumps({"state_dir": str(tmp_path), "device": {"name": "renders"}, "mqtt": mqtt}))

    def run(*words: str, script: Script | None = None) -> tuple[int, str, str]:
        board.script = script or Script(segments=2, segment_s=0.1)
        board.asked.clear()
        board.cancelled.clear()
        try:
            status = main(["render", *words, "--config", str(config)])
        except SystemExit as end:
            status = int(str(end.code))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    monkeypatch.chdir(tmp_path)
    yield run
    board.script = Script()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_wav_file_says_how_long_it_is(render: Render, board: ScriptedBoard, tmp_path: Path) -> None:
    out = tmp_path / "tea.wav"
    out.write_text("what was there before")
    status, said, _ = render("The", "tea", "--voice", "ben", "is ready.", "--out", str(out), "--speed", "1.5")
    assert (status, said) == (
        0, f"wrote {out}: 0.20 s of speech at 24000 Hz, by quick as ben, RTF 0.100, waited 0.00 s\n",
    )  # fmt: skip
    with wave.open(str(out)) as file:
        assert file.getparams()[:4] == (1, 2, RATE_HZ, 4800)
        assert file.readframes(4800) == tone("pcm", 0.1) * 2
    [asked] = board.asked
    assert asked.fields == {
        "text": "The tea is ready.", "format": "pcm", "voice": "ben", "speed": 1.5, "ttl_s": 60.0,
    }  # fmt: skip
    assert not board.cancelled
    assert names(tmp_path) == ["config.json", "tea.wav"]


def test_a_flac_file_says_how_long_it_is(render: Render, board: ScriptedBoard, tmp_path: Path) -> None:
    out = tmp_path / "tea.flac"
    status, said, _ = render("The tea is ready.", "--out", str(out), "--json")
    assert (status, json.loads(said)["format"], board.asked[0].fields["format"]) == (0, "flac", "pcm")
    samples, rate_hz = soundfile.read(out, dtype="int16")
    assert (samples.astype("<i2").tobytes(), rate_hz) == (tone("pcm", 0.1) * 2, RATE_HZ)


@pytest.mark.parametrize(("name", "sound_format"), [("a.OGG", "opus"), ("a.opus", "opus"), ("a.mp3", "mp3")])
def test_the_ending_of_the_file_names_the_format(
    render: Render, board: ScriptedBoard, tmp_path: Path, name: str, sound_format: str
) -> None:
    status, said, _ = render("Hi.", "--out", str(tmp_path / name), "--json", script=Script(segments=1))
    assert (status, board.asked[0].fields["format"]) == (0, sound_format)
    assert soundfile.info(tmp_path / name).channels == 1
    report = json.loads(said)
    assert (report["file"], report["format"], report["rate_hz"]) == (str(tmp_path / name), sound_format, 24_000)
    assert report["engines"] == ["quick"]


def test_stdout_gets_wav_and_nothing_else(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a pipe."))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    status, _, said = render("-", "--out", "-", "--json", script=Script(segments=1))
    assert (status, raw.getvalue()) == (0, tone("wav", 0.2))
    assert "wrote stdout: " in said


def test_a_device_file_is_written_and_not_replaced(render: Render) -> None:
    status, said, _ = render("Hi.", "--out", "/dev/null", "--format", "wav")
    assert (status, "wrote /dev/null" in said) == (0, True)
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_full_disk_is_one_sentence_and_leaves_no_file(render: Render, tmp_path: Path, name: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        status, _, err = render("Hi.", "--out", name, script=Script(segments=3, segment_s=1.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (status, err) == (1, f"ishowtts: {name} cannot be written (File too large); name another file with --out\n")
    assert names(tmp_path) == ["config.json"]


@pytest.mark.parametrize("out", ["-", "a.wav"])
def test_an_output_that_is_full_is_one_sentence(render: Render, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, err = render("Hi.", "--out", out)
        monkeypatch.undo()
    says = "ishowtts: the output cannot be written (No space left on device); redirect it elsewhere\n"
    assert (status, err) == (1, says)


def test_a_closed_stdout_is_no_fault_of_a_file(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert render("Hi.", "--out", "a.wav")[::2] == (0, "")
    status, _, err = render("Hi.", "--out", "-")
    assert (status, err) == (2, "ishowtts render: stdout is closed; redirect it, or name a file with --out\n")


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that nobody handles, whatever other tests have left."""
    found: signal.Signals = request.param
    before = signal.signal(found, signal.SIG_DFL)
    yield found
    signal.signal(found, before or signal.SIG_DFL)


def test_a_signal_ends_it_as_ctrl_c_does(
    render: Render, board: ScriptedBoard, tmp_path: Path, number: signal.Signals
) -> None:
    def kill() -> None:
        eventually(lambda: board.asked and signal.getsignal(number) is signal.default_int_handler, "the render", 10)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=kill)
    thread.start()
    status, said, _ = render("Hi.", "--out", str(tmp_path / "a.wav"), script=Script(segments=20, cost_s=0.1))
    thread.join()
    assert (status, said, names(tmp_path)) == (130, "", ["config.json"])
    assert signal.getsignal(number) is signal.SIG_DFL
    eventually(lambda: board.cancelled == [board.asked[0].key])


def test_a_broker_that_dies_is_noticed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = SoundOutput.begin
    (tmp_path / "broker").mkdir()
    slow = Script(segments=20, cost_s=0.1)
    with Broker(tmp_path / "broker") as own, ScriptedBoard(own.host, own.port, "renders", script=slow):
        config = tmp_path / "config.json"
        mqtt = {"host": own.host, "port": own.port}
        config.write_text(json.dumps({"state_dir": str(tmp_path), "device": {"name": "renders"}, "mqtt": mqtt}))

        def kill_and_begin(output: SoundOutput, rate_hz: int) -> None:
            own.kill()
            begin(output, rate_hz)

        monkeypatch.setattr(SoundOutput, "begin", kill_and_begin)
        assert main(["render", "Hi.", "--out", str(tmp_path / "a.wav"), "--config", str(config)]) == 1
    assert "closed the connection" in capsys.readouterr().err


@pytest.fixture
def impatient(board: ScriptedBoard, monkeypatch: pytest.MonkeyPatch) -> ScriptedBoard:
    monkeypatch.setattr(remote_render, "_ANSWER_S", 0.4)
    monkeypatch.setattr(remote_render, "_NEXT_PART_S", 0.5)
    return board


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ({"fault": "error", "reason": "busy", "detail": "too many"}, "ishowtts: busy: too many"),
        ({"fault": "error", "after_parts": 1, "detail": "the\x1b engine"}, "ishowtts: failed: the  engine"),
        ({"fault": "gap", "after_parts": 1}, "a part of the sound is missing"),
        ({"fault": "dies", "after_parts": 1}, "went offline before all sound had come"),
        ({"fault": "no_end", "after_parts": 1}, "no answer came within 0.5 s; the appliance at ishowtts/renders"),
        ({"fault": "silent"}, "no answer came within 0.4 s; the appliance at ishowtts/renders is online, ready"),
    ],
)
def test_half_a_sound_leaves_no_file(
    render: Render, impatient: ScriptedBoard, tmp_path: Path, script: dict[str, Any], says: str
) -> None:
    out = tmp_path / "a.wav"
    out.write_text("before")
    status, said, err = render("Hi.", "--out", str(out), script=Script(**script))
    assert (status, said) == (1, "")
    assert says in err
    assert len(err.splitlines()) == 1
    assert names(tmp_path) == ["a.wav", "config.json"]
    assert out.read_text() == "before"
    if script["fault"] == "dies":
        impatient.connect()
    elif script["fault"] != "error":
        eventually(lambda: impatient.cancelled == [impatient.asked[0].key])


def test_parts_that_come_twice_and_parts_that_are_none_do_no_harm(render: Render, tmp_path: Path) -> None:
    for fault in ("twice", "garbage"):
        out = tmp_path / f"{fault}.pcm"
        status, _, _ = render("Hi.", "--out", str(out), script=Script(segments=2, segment_s=0.1, fault=fault))  # type: ignore[arg-type]
        assert (status, out.read_bytes()) == (0, tone("pcm", 0.1) * 2)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--out", "a.aac"), 2, "the ending .aac stands for no format; name --out .wav, .flac"),
        (("--out", "noending"), 2, "a name without an ending stands for no format"),
        (("--out", "/nowhere/a.wav"), 1, "/nowhere/a.wav cannot be written (No such file or directory); name another"),
        (("--out", "a.wav", "--device", "no/slash"), 2, "'no/slash' is not the name of an appliance"),
        (("--out", "a.wav", "--device", "group"), 2, "'group' is not the name of an appliance"),
        (("--out", "a.wav", "--device", "gone"), 1, "nothing takes renders at ishowtts/gone; is the name right"),
        ((), 2, "--out"),
        (("--out", "a.wav", "--speed", "3"), 2, "'3' is not a speed from 0.5 to 2"),
        (("--out", "a.wav", "--wait", "nan"), 2, "'nan' is not a number of seconds"),
        (("--out", "a.wav", "--language", "xx-"), 2, "is not the tag of a language"),
    ],
)
def test_wrong_usage_is_one_sentence(
    render: Render, tmp_path: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    found, _, err = render("Hi.", *words)
    assert found == status
    assert says in err
    assert names(tmp_path) == ["config.json"]


def test_an_appliance_that_cannot_is_told_so_before_the_request(
    render: Render, board: ScriptedBoard, tmp_path: Path
) -> None:
    board.change(state="error", engines=[])
    try:
        status, _, err = render("Hi.", "--out", str(tmp_path / "a.wav"))
    finally:
        board.change(state="ready", engines=["quick"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert "ishowtts/renders has no engine that can speak now; ask another one with --device NAME" in err
    assert not board.asked


def test_the_daemon_itself_renders_into_a_file(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        Appliance(tmp_path, broker, quick_s=0.3) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client)
        for name in ("a.wav", "a.mp3"):
            words = ["render", "This is a tone.", "--out", str(tmp_path / name), "--config", str(appliance.config_file)]
            assert main(words) == 0
            assert soundfile.info(tmp_path / name).duration == pytest.approx(0.3, abs=0.1)
        assert "by quick" in capsys.readouterr().out
        assert main([*words, "--voice", "nobody"]) == 1
        assert "nobody" in capsys.readouterr().err
        assert not appliance.events(client), "renders make no events"


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("renderer", "wrote "),
        ("ishowtts", "wrote "),
        ("publisher", "its ACL must allow the user publisher to publish there"),
    ],
)
def test_the_shipped_rights_let_two_users_render(
    guarded: ShippedBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str], user: str, says: str
) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    mqtt = {
        "host": guarded.host, "port": guarded.port, "username": user, "password_file": str(tmp_path / "password"),
    }  # fmt: skip
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"state_dir": str(tmp_path), "device": {"name": "kitchen"}, "mqtt": mqtt}))
    status = main(["render", "Hi.", "--out", str(tmp_path / "a.flac"), "--config", str(config)])
    captured = capsys.readouterr()
    assert (status == 0) == (tmp_path / "a.flac").exists() == (user != "publisher")
    assert says in captured.out + captured.err


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedBroker]:
    users = dict.fromkeys(("ishowtts", "renderer", "publisher"), "secret")
    with (
        ShippedBroker(tmp_path_factory.mktemp("guarded"), users) as broker,
        ScriptedBoard(broker.host, broker.port, "kitchen", username="ishowtts", password="secret"),
    ):
        yield broker

"""`ishowtts devices --test`: two notes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ishowtts.cli.main import main
from ishowtts.playback.alsa.sound_cards import list_devices
from ishowtts.playback.audibility import Silence, SilentCause
from support.alsa import Alsa


@pytest.fixture
def devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`devices("--test", audio={…})`: its exit status, and what it printed; ALSA knows the PCM `card`, a file."""
    asoundrc = tmp_path / "asoundrc"
    card = f'pcm.card {{ type file file "{tmp_path}/card.wav" format wav slave.pcm null }}'
    asoundrc.write_text(f"</usr/share/alsa/alsa.conf>\n{card}\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(asoundrc))

    def run(*arguments: str, audio: dict[str, Any] | None = None) -> tuple[int, str, str]:
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps({"audio": audio or {}}))
        try:
            status = main(["devices", "--config", str(config), *arguments])
        except SystemExit as left:
            status = int(str(left.code))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def alsa(tmp_path: Path) -> Alsa:
    (tmp_path / "alsa").mkdir()
    return Alsa(tmp_path / "alsa")


def test_two_notes_are_heard_on_the_configured_device_after_it_woke(
    tmp_path: Path, devices: Callable[..., tuple[int, str, str]]
) -> None:
    audio = {"device": "card", "volume": 100, "devices": {"card": {"wake_s": 0.5}}}
    assert devices("--test", audio=audio) == (0, "two notes on card, at volume 100\nplayed to the end\n", "")
    sound, rate_hz = soundfile.read(tmp_path / "card.wav")
    first = int(np.flatnonzero(sound)[0])
    assert first / rate_hz == pytest.approx(0.5, abs=0.01)
    assert (len(sound) - first) / rate_hz == pytest.approx(1.5, abs=0.1)
    assert 0.2 < np.abs(sound).max() < 0.4, "a comfortable level"
    assert np.abs(np.diff(sound)).max() < 0.06, "no click"
    for start_s, note_hz in ((0.5, 523.25), (1.25, 659.26)):
        part = sound[int(start_s * rate_hz) : int((start_s + 0.7) * rate_hz)]
        loudest_hz = np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * rate_hz / len(part)
        assert loudest_hz == pytest.approx(note_hz, abs=2)


def test_a_name_in_brackets_is_shown_as_it_is(
    devices: Callable[..., tuple[int, str, str]], alsa: Alsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    (alsa.asound / "pcm").write_text("03-00: Box [/b] [red] : Box : playback 1\n")
    monkeypatch.setattr("ishowtts.cli.devices.list_devices", lambda: list_devices(alsa.asound))
    status, out, _ = devices()
    assert status == 0
    assert out.splitlines()[0].split() == ["audio.device", "card"]
    assert "Box [/b] [red]" in out


def test_a_card_that_is_muted_is_named_with_the_command_that_unmutes_it(
    devices: Callable[..., tuple[int, str, str]], alsa: Alsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    alsa.plug_in(1, "Codec")
    muted = Silence(SilentCause.CARD_MUTED, "the sound card hw:CARD=UAC2 is muted (PCM), so nothing is heard; run `x`")
    monkeypatch.setattr("ishowtts.cli.devices.list_devices", lambda: list_devices(alsa.asound))
    monkeypatch.setattr("ishowtts.cli.devices.card_silence", lambda device: muted if "UAC2" in device else None)
    _, out, _ = devices()
    assert out.count(muted.sentence) == 1
    _, out, _ = devices("--json")
    assert {found["pcm"]: found["silent"] for found in json.loads(out)} == {
        "plughw:CARD=UAC2,DEV=0": muted.sentence,
        "plughw:CARD=Codec,DEV=0": None,
    }


def test_another_device_and_volume_can_be_named(tmp_path: Path, devices: Callable[..., tuple[int, str, str]]) -> None:
    status, _, _ = devices("--test", f"wav:{tmp_path}/own.wav", "--volume", "60", audio={"device": "card"})
    assert status == 0
    sound, _ = soundfile.read(tmp_path / "own.wav")
    assert 20 * np.log10(np.abs(sound).max() / 0.28) == pytest.approx(-20, abs=0.5)
    assert not (tmp_path / "card.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--test", "nosuch"), 1, "ishowtts: the sound device nosuch is not there; see `ishowtts devices`"),
        (("--test", " "), 1, "ishowtts: ' ' is not a sound device: must be auto, silent, wav:PATH, pipe:PATH or"),
        (("--test", "wav:"), 1, "ishowtts: 'wav:' is not a sound device: wav: needs a path"),
        (("--test", "Silent"), 1, "ishowtts: 'Silent' is not a sound device: must be written silent"),
        (
            ("--test", "null\0x"),
            1,
            "ishowtts: 'null\\x00x' is not a sound device: must not begin or end with a blank, nor",
        ),
        (
            ("--test", "hw:0\nhw:1"),
            1,
            "ishowtts: 'hw:0\\nhw:1' is not a sound device: must not begin or end with a blank",
        ),
        (
            ("--test", "caf\udce9"),
            1,
            "ishowtts: 'caf\\udce9' is not a sound device: must not begin or end with a blank",
        ),
        (("--test", "wav:/tmp/\0"), 1, "ishowtts: 'wav:/tmp/\\x00' is not a sound device: must not begin or end with"),
        (("--test", 5000 * "x"), 1, "is not a sound device: must be 1000 characters at most; see `ishowtts devices`"),
        (("--test", "wav:/nowhere/at/all.wav"), 1, "/nowhere/at/all.wav cannot be written"),
        (("--test", "pipe:/nowhere/p"), 1, "the pipe /nowhere/p does not exist; start the program that makes it"),
        (("--test", "card", "--volume", "101"), 2, "'101' is not a volume from 0 to 100"),
        (("--volume", "30"), 2, "--volume needs --test"),
    ],
)
def test_what_cannot_be_played_on_is_one_sentence(
    devices: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], status: int, says: str
) -> None:
    found, out, err = devices(*arguments)
    assert (found, out) == (status, "")
    assert says in err
    assert status == 2 or len(err.splitlines()) == 1

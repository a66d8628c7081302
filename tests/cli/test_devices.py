"""`ishowtts devices --test`: two notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile


def devices(folder: Path, *arguments: str, audio: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    config = folder / "config.yaml"
    config.write_text(json.dumps({"state_dir": str(folder), "cache_dir": str(folder), "audio": audio or {}}))
    asoundrc = folder / "asoundrc"
    asoundrc.write_text(
        f'</usr/share/alsa/alsa.conf>\npcm.card {{ type file file "{folder}/card.wav" format wav slave.pcm null }}\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "ishowtts", "devices", "--config", str(config), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "ALSA_CONFIG_PATH": str(asoundrc)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_two_notes_are_heard_on_the_configured_device_after_it_woke(tmp_path: Path) -> None:
    audio = {"device": "card", "volume": 100, "devices": {"card": {"wake_s": 0.5}}}
    done = devices(tmp_path, "--test", audio=audio)
    assert (done.returncode, done.stdout) == (0, "two notes on card, at volume 100\nplayed to the end\n")
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


def test_another_device_and_volume_can_be_named(tmp_path: Path) -> None:
    done = devices(tmp_path, "--test", f"wav:{tmp_path}/own.wav", "--volume", "60", audio={"device": "card"})
    assert done.returncode == 0
    sound, _ = soundfile.read(tmp_path / "own.wav")
    assert 20 * np.log10(np.abs(sound).max() / 0.28) == pytest.approx(-20, abs=0.5)
    assert not (tmp_path / "card.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--test", "nosuch"), 1, "ishowtts: the sound device nosuch is not there; see `ishowtts devices`"),
        (("--test", " "), 1, "ishowtts: ' ' is no sound device; see `ishowtts devices`"),
        (("--test", "wav:"), 1, "ishowtts: 'wav:' is no sound device; see `ishowtts devices`"),
        (("--test", "wav:/nowhere/at/all.wav"), 1, "/nowhere/at/all.wav cannot be written"),
        (("--test", "card", "--volume", "101"), 2, "'101' is no volume from 0 to 100"),
    ],
)
def test_what_cannot_be_played_on_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = devices(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert status == 2 or len(done.stderr.splitlines()) == 1

"""One interface for the three speakers."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ishowtts.errors import SpeakerError
from ishowtts.playback import Speaker
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.wav_speaker import WavSpeaker
from support.waiting import eventually

RATE_HZ = 24_000


def frames(path: Path) -> Any:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


CONTRACT = """
import sys
from pathlib import Path
import numpy as np
from ishowtts.errors import SpeakerError
from ishowtts.playback import Speaker
from ishowtts.playback.alsa.alsa_speaker import AlsaSpeaker
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.playback.wav_speaker import WavSpeaker
kind, path = sys.argv[1], Path(sys.argv[2])
speaker = {"alsa": lambda: AlsaSpeaker("tofile"), "wav": lambda: WavSpeaker(path), "silent": SilentSpeaker}[kind]()
assert isinstance(speaker, Speaker) and speaker.name
speaker.open(24000)
assert speaker.delay_s() == 0
noise = np.random.default_rng(0).integers(-32768, 32767, 4800).astype(np.int16)
for block in noise.reshape(-1, 240):
    speaker.write(block)
    assert 0 <= speaker.delay_s() <= 0.041
speaker.flush()
speaker.drain()
assert speaker.delay_s() == 0 and speaker.away() is None and speaker.underruns == 0
speaker.write(noise[:240])
speaker.drop()
assert speaker.delay_s() == 0
speaker.close()
speaker.close()
"""


@pytest.mark.parametrize("kind", ["alsa", "wav", "silent"])
def test_every_speaker_implements_the_interface(kind: str, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    asoundrc = tmp_path / "asoundrc"
    asoundrc.write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'pcm.tofile {{ type plug slave.pcm {{ type file file "{sound}" format "wav" slave.pcm null }} }}\n'
    )
    # The library reads its configuration once a process.
    subprocess.run(
        [sys.executable, "-c", CONTRACT, kind, str(sound)],
        check=True,
        timeout=60,
        env={**os.environ, "ALSA_CONFIG_PATH": str(asoundrc)},
    )
    if kind != "silent":
        noise = np.random.default_rng(0).integers(-32768, 32767, 4800).astype(np.int16)
        assert np.array_equal(frames(sound)[:4800], noise)


def test_a_file_is_continued_when_it_is_opened_again_and_overwritten_at_a_start(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    speaker = WavSpeaker(path, paced=False)
    for height in (1, 2):
        speaker.open(RATE_HZ)
        speaker.write(np.full(240, height, np.int16))
        speaker.close()
    assert frames(path).tolist() == [1] * 240 + [2] * 240
    another = WavSpeaker(path, paced=False)
    another.open(RATE_HZ)
    another.close()
    assert len(frames(path)) == 0


def test_each_start_creates_a_new_file_in_a_folder(tmp_path: Path) -> None:
    speakers = [WavSpeaker(tmp_path / "said", paced=False) for _ in range(3)]
    for speaker in speakers:
        speaker.open(RATE_HZ)
        speaker.close()
    assert len(list((tmp_path / "said").iterdir())) == 3


def test_the_file_is_valid_after_the_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    endless = (
        "import sys, numpy as np; from pathlib import Path; from ishowtts.playback.wav_speaker import WavSpeaker\n"
        "speaker = WavSpeaker(Path(sys.argv[1])); speaker.open(24000)\n"
        "while True: speaker.write(np.full(240, 7, np.int16))"
    )
    with subprocess.Popen([sys.executable, "-c", endless, str(path)]) as process:
        eventually(lambda: path.exists() and path.stat().st_size > 5000)
        process.kill()
    held = (path.stat().st_size - 44) // 2
    assert held - 240 <= len(frames(path)) <= held
    assert (frames(path) == 7).all()


def test_an_unwritable_path_is_a_speaker_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    speaker: Speaker = WavSpeaker(tmp_path / "file" / "sound.wav")
    with pytest.raises(SpeakerError, match=r"audio\.device"):
        speaker.open(RATE_HZ)
    speaker.close()
    assert SilentSpeaker().delay_s() == 0

"""Our sound equals upstream's sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.reference import end_sentence
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.model import Segment

pytestmark = [pytest.mark.f5, pytest.mark.slow]

TOLERANCE = 1e-4  # of the waveform's peak
TEXT = "The quick brown fox jumps."
DEFAULT = VoiceLibrary(None).find(None)

Make = Callable[..., F5Engine]
Upstream = Callable[..., np.ndarray]


def never() -> bool:
    return False


def segment(text: str, **fields: object) -> Segment:
    return Segment("line", 0, 1, text, **{"seed": 3, **fields})


def clip(path: Path) -> tuple[torch.Tensor, int]:
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate_hz


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference over the peak of `theirs`; infinite if the lengths differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize(
    ("text", "speed", "nfe_step"),
    [
        (TEXT, 1.0, 7),
        ("今天天气很好,我们去公园散步。", 1.0, 7),
        ("Oh, 你好 friend; it’s “fine”.", 1.4, 5),
        (TEXT, 0.7, 8),
    ],
)
def test_any_text_sounds_like_upstream(
    make_engine: Make, upstream_sound: Upstream, text: str, speed: float, nfe_step: int
) -> None:
    engine = make_engine()
    ours = engine.render(segment(text, speed=speed, nfe_step=nfe_step), never)
    theirs = upstream_sound(
        *clip(DEFAULT.audio_path), end_sentence(DEFAULT.text), text, 3, speed=speed, nfe_step=nfe_step
    )
    assert np.abs(theirs).max() > 0.01
    assert distance(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("speed", [1.0, 1.7])
def test_a_very_short_text_sounds_like_upstream_without_the_switch(
    make_engine: Make, upstream_sound: Upstream, speed: float
) -> None:
    engine = make_engine(switches={"short_text": False})
    ours = engine.render(segment("Hi.", speed=speed, nfe_step=5), never)
    voice = (*clip(DEFAULT.audio_path), end_sentence(DEFAULT.text))
    assert distance(ours, upstream_sound(*voice, "Hi.", 3, speed=speed, nfe_step=5)) <= TOLERANCE


@pytest.mark.parametrize(
    ("gain", "rate_hz", "words"), [(0.1, 44_100, "Some call me nature"), (1.0, 16_000, "一些人叫我自然。")]
)
def test_a_custom_voice_sounds_like_upstream(  # noqa: PLR0917 - fixtures and parameters
    make_engine: Make, upstream_sound: Upstream, tmp_path: Path, gain: float, rate_hz: int, words: str
) -> None:
    samples, _ = soundfile.read(DEFAULT.audio_path, dtype="float32")
    stereo = np.stack([samples, 0.5 * np.roll(samples, 50)], axis=1) * gain
    (tmp_path / "mine").mkdir()
    soundfile.write(tmp_path / "mine" / "reference.wav", stereo[: 3 * rate_hz], rate_hz, subtype="FLOAT")
    (tmp_path / "mine" / "reference.txt").write_text(words + "\n")
    engine = make_engine(voices_dir=str(tmp_path))
    ours = engine.render(segment(TEXT, voice="mine", nfe_step=5), never)
    audio, rate = clip(tmp_path / "mine" / "reference.wav")
    theirs = upstream_sound(audio, rate, end_sentence(words), TEXT, 3, nfe_step=5)
    assert distance(ours, theirs) <= TOLERANCE


def test_the_longest_segment_is_that_of_upstream(make_engine: Make) -> None:
    audio, rate_hz = clip(DEFAULT.audio_path)
    length_s = audio.shape[-1] / rate_hz
    upstreams = int(len(end_sentence(DEFAULT.text).encode()) / length_s * (22 - length_s))
    assert make_engine().prepare(None).max_segment_bytes == upstreams

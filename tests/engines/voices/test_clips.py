"""Recordings become clips and are measured: speech of espeak-ng, and the clip of the package f5-tts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines.voices import clips
from ishowtts.engines.voices.recordings import MAX_BYTES
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.errors import VoiceError

WORDS = "The kettle is on, and the tea will be ready in a minute or two."
RATE_HZ = 24_000


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Returns 4 s of speech without silence at its ends, float [samples] at 24 kHz."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    subprocess.run(["espeak-ng", "-w", str(path), WORDS], check=True)
    samples = clips.make_clip(path).samples
    return samples[: -round(0.05 * RATE_HZ)]


def silence(length_s: float) -> np.ndarray:
    return np.zeros(round(length_s * RATE_HZ))


def write(folder: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, name: str = "in.wav", **how: str) -> Path:
    soundfile.write(folder / name, samples, rate_hz, **how)
    return folder / name


@pytest.mark.f5
def test_the_clip_of_the_package_has_no_defects() -> None:
    voice = VoiceLibrary(None).find(None)
    clip = clips.make_clip(voice.audio_path)
    assert clip.warnings() == []
    assert 4.5 < clip.length_s < 5.3
    assert clips.compare(voice.text, clip.length_s) is None
    assert clips.length_s(voice.audio_path) == pytest.approx(5.333, abs=1e-3)


def test_silence_at_the_ends_is_trimmed_except_a_little_at_the_end(tmp_path: Path, speech: np.ndarray) -> None:
    clip = clips.make_clip(write(tmp_path, np.concatenate([silence(1.5), speech, silence(0.7)])))
    assert clip.trimmed_s == pytest.approx(2.2, abs=0.03)
    assert clip.length_s == pytest.approx(len(speech) / RATE_HZ + 0.05, abs=0.03)
    assert np.abs(clip.samples[-1200:]).max() == 0
    assert np.abs(clip.samples[:480]).max() > 1e-3
    assert np.abs(clip.samples[-1800:-1200]).max() > 1e-3


def test_quiet_noise_at_the_ends_counts_as_silence(tmp_path: Path, speech: np.ndarray) -> None:
    room = np.random.default_rng(0).normal(0, 10 ** (-55 / 20), RATE_HZ)
    clip = clips.make_clip(write(tmp_path, np.concatenate([room, speech, room])))
    assert clip.trimmed_s == pytest.approx(2.0, abs=0.03)


def test_long_pauses_are_shortened_to_a_second_and_short_ones_stay(tmp_path: Path, speech: np.ndarray) -> None:
    short = clips.make_clip(write(tmp_path, np.concatenate([speech, silence(0.9), speech])))
    assert short.pauses_s == 0
    long = clips.make_clip(write(tmp_path, np.concatenate([speech, silence(3), speech])))
    assert long.pauses_s == pytest.approx(2, abs=0.1)
    assert long.length_s == pytest.approx(2 * len(speech) / RATE_HZ + 1.05, abs=0.1)
    middle = long.samples[len(speech) + 1200 : len(speech) + 20_000]
    assert np.abs(middle).max() < 1e-3


def test_channels_are_mixed_to_mono_and_resampled_to_24_khz(tmp_path: Path, speech: np.ndarray) -> None:
    rate_hz = 48_000
    time_s = np.arange(3 * rate_hz) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    clip = clips.make_clip(write(tmp_path, np.stack([tone, 0.5 * tone], axis=1), rate_hz))
    assert (clip.channels, clip.rate_hz, clip.length_s) == (2, rate_hz, pytest.approx(3.05, abs=1e-3))
    inside = clip.samples[RATE_HZ : 2 * RATE_HZ]
    spectrum = np.abs(np.fft.rfft(inside)) / len(inside) * 2
    assert int(spectrum.argmax()) == 440
    assert spectrum.max() == pytest.approx(0.375, abs=1e-3)


@pytest.mark.parametrize(("name", "how"), [("a.flac", {}), ("a.ogg", {}), ("a.mp3", {}), ("a.aiff", {})])
def test_other_formats_are_read(tmp_path: Path, speech: np.ndarray, name: str, how: dict[str, str]) -> None:
    assert clips.make_clip(write(tmp_path, speech, name=name, **how)).length_s == pytest.approx(
        len(speech) / RATE_HZ + 0.05, abs=0.15
    )


@pytest.mark.parametrize(
    ("length_s", "words"),
    [(1.5, "1.6 s of speech .* record a whole sentence"), (13, "cut it at the end of a sentence")],
)
def test_a_clip_of_the_wrong_length_is_refused_with_a_remedy(tmp_path: Path, length_s: float, words: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, round(length_s * RATE_HZ))
    with pytest.raises(VoiceError, match=words):
        clips.make_clip(write(tmp_path, noise))


def test_a_recording_without_speech_is_refused(tmp_path: Path, speech: np.ndarray) -> None:
    with pytest.raises(VoiceError, match="silent or far too quiet"):
        clips.make_clip(write(tmp_path, silence(3)))
    with pytest.raises(VoiceError, match="silent or far too quiet"):
        clips.make_clip(write(tmp_path, speech * 0.01))
    with pytest.raises(VoiceError, match="silent or far too quiet"):
        clips.make_clip(write(tmp_path, np.zeros(0)))
    broken = speech.copy()
    broken[100] = np.nan
    with pytest.raises(VoiceError, match="not numbers"):
        clips.make_clip(write(tmp_path, broken, subtype="FLOAT"))
    with pytest.raises(VoiceError, match="4000 Hz"):
        clips.make_clip(write(tmp_path, speech, 4000))
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "empty.wav").touch()
    for name, fix in {
        "text.wav": r"give a recording in WAV.*converts others\)$", "missing.wav": r"; name a recording that exists$",
        "": r"; name the recording in that folder$", "text.wav/x.wav": r"; name a recording that exists$",
        "empty.wav": r"is empty; record it again, or name another recording$",
    }.items():  # fmt: skip
        with pytest.raises(VoiceError, match=fix):
            clips.make_clip(tmp_path / name)


def test_a_huge_recording_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write(tmp_path, np.zeros(8_000 * 700, np.int16), 8_000, name="hours.flac")
    assert path.stat().st_size < 200_000
    with pytest.raises(VoiceError, match="longer than 120 s"):
        clips.make_clip(path)
    with (tmp_path / "big.wav").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(VoiceError, match="larger than 50 MB"):
        clips.make_clip(tmp_path / "big.wav")


def test_clipping_is_measured_and_reported(tmp_path: Path, speech: np.ndarray) -> None:
    clean = clips.make_clip(write(tmp_path, speech))
    assert clean.clipped_share == 0
    assert not [warning for warning in clean.warnings() if "clipped" in warning]
    loud = np.clip(speech * 8, -1, 1)
    clip = clips.make_clip(write(tmp_path, loud))
    assert 0.01 < clip.clipped_share < 0.5
    assert "record it again with less gain" in "".join(clip.warnings())


def test_a_single_peak_at_full_scale_is_not_clipping() -> None:
    recorded = np.zeros((1000, 1))
    recorded[[10, 50, 51]] = 1.0
    assert clips.clipped_share(recorded) == 0
    recorded[100:105] = -1.0
    recorded[997:] = 1.0
    assert clips.clipped_share(recorded) == pytest.approx(8 / 1000)


def test_noise_is_measured_and_reported(tmp_path: Path, speech: np.ndarray) -> None:
    rms = float(np.sqrt(np.mean(speech**2)))
    noise = np.random.default_rng(0).normal(0, rms, len(speech))
    for wanted_db in (5, 15, 30):
        noisy = speech + noise * 10 ** (-wanted_db / 20)
        # The louder half of the frames is about 3 dB above the mean of all.
        assert clips.snr_db(noisy, RATE_HZ) == pytest.approx(wanted_db + 3, abs=1.5)
    poor = clips.make_clip(write(tmp_path, 0.5 * (speech + noise * 10 ** (-10 / 20))))
    assert "record it in a quieter place" in "".join(poor.warnings())
    good = clips.make_clip(write(tmp_path, 0.5 * (speech + noise * 10 ** (-30 / 20))))
    assert good.warnings() == []
    assert clips.snr_db(silence(3), RATE_HZ) is None


@pytest.mark.parametrize(
    ("words", "length_s", "verdict"),
    [
        ("Some call me nature, others call me mother nature.", 5.0, None),
        ("Some call me nature.", 5.0, "too few"),
        ("Some call me nature, others call me mother nature. " * 4, 5.0, "too many"),
        ("对,这就是我,万人敬仰的太乙真人。", 3.5, None),
        ("对,这就是我,万人敬仰的太乙真人。", 11.0, "too few"),
        ("对,这就是我,万人敬仰的太乙真人。" * 4, 3.5, "too many"),
        ("안녕하세요 만나서 반갑습니다", 2.5, None),
        ("안녕하세요 만나서 반갑습니다", 5.0, None),
        ("おはようございます、きょうはいいてんきですね", 3.5, None),
        ("Привет, как у тебя дела сегодня утром?", 2.8, None),
        ("Привет, как у тебя дела сегодня утром?", 10.0, "too few"),
    ],
)
def test_words_are_compared_with_the_length_of_the_clip_by_their_script(
    words: str, length_s: float, verdict: str | None
) -> None:
    found = clips.compare(words, length_s)
    assert (found is None) == (verdict is None)
    assert (verdict or "") in (found or "")


def test_the_words_of_real_speech_are_plausible(speech: np.ndarray) -> None:
    assert clips.compare(WORDS, len(speech) / RATE_HZ) is None


def test_the_cost_follows_the_formula() -> None:
    assert clips.cost_ratio(3) == 1
    assert clips.cost_ratio(5.2) == pytest.approx((35.5 * 10.2 + 0.79 * 10.2**2) / (35.5 * 8 + 0.79 * 64))
    assert clips.cost_ratio(2) < 1 < clips.cost_ratio(12)

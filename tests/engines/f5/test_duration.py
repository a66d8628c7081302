"""The length of the speech, its number of evaluations, and its bucket."""

from __future__ import annotations

import pytest

from ishowtts.engines.f5 import duration

REFERENCE_FRAMES, REFERENCE_SIZE = 500, 50  # ten frames per byte


def frames(text: str, speed: float = 1.0, *, short_text: bool = True) -> int:
    size = duration.text_size(text, "pinyin")
    return duration.speech_frames(REFERENCE_FRAMES, REFERENCE_SIZE, size, speed, short_text=short_text)


def test_a_text_takes_its_share_by_bytes_and_speed() -> None:
    assert frames("a" * 20) == 200
    assert frames("好" * 10) == 300
    assert frames("a" * 20, 2.0) == 100


@pytest.mark.parametrize(
    ("text", "by_bytes", "by_characters"),
    [("ascii only", 10, 10), ("مرحبا بك", 15, 8), ("नमस्ते", 18, 6), ("你好", 6, 2)],
)
def test_the_size_of_a_text_is_that_of_upstream_or_of_silma(text: str, by_bytes: int, by_characters: int) -> None:
    assert (duration.text_size(text, "pinyin"), duration.text_size(text, "char")) == (by_bytes, by_characters)


def test_a_very_short_text_takes_the_time_of_a_word_at_the_speed_asked_for() -> None:
    assert {frames(text) for text in ("a", "Hi.", "a" * 9)} == {140}
    assert frames("Hi.", 2.0) == 70


def test_without_the_switch_it_is_as_slow_as_in_upstream() -> None:
    assert frames("a" * 9, short_text=False) == 300
    assert frames("a" * 9, 2.0, short_text=False) == 300
    assert frames("a" * 10, short_text=False) == 100


def test_there_is_at_least_a_frame_for_every_token_and_one_of_speech() -> None:
    assert duration.total_frames(500, 200, 80) == 700
    assert duration.total_frames(500, 0, 80) == 502
    assert duration.total_frames(500, 0, 900) == 901


@pytest.mark.parametrize(("speech_s", "nfe_step"), [(1.0, 8), (4.9, 8), (5.1, 7), (14.9, 7), (15.1, 6)])
def test_evaluations_by_length(speech_s: float, nfe_step: int) -> None:
    assert duration.nfe_for(round(speech_s * duration.FRAMES_PER_S)) == nfe_step


def test_a_bucket_holds_the_run_and_wastes_little() -> None:
    for length in range(1, duration.BUCKETS[-1] + 1):
        found = duration.bucket(length, duration.BUCKETS)
        assert found is not None
        assert found >= length
        if length > 384:
            assert found - length <= found / 12
        if length > 768:
            assert found - length <= found / 24
    assert duration.bucket(duration.BUCKETS[-1] + 1, duration.BUCKETS) is None


def test_the_speech_of_most_segments_has_few_lengths() -> None:
    lengths = duration.common_speech()
    assert lengths == sorted(lengths, reverse=True)
    assert all(length % duration.STEP == 0 for length in lengths)
    assert lengths[-1] - duration.STEP < 0.5 * duration.FRAMES_PER_S <= lengths[-1]
    assert lengths[0] - duration.STEP < 10 * duration.FRAMES_PER_S <= lengths[0]
    assert len(lengths) == 29

from __future__ import annotations

import numpy as np
import pytest

from voice_training.dataset import speakers
from voice_training.dataset.speakers import HELD_OUT_SPEAKERS, MAX_SHIFT_SEMITONES, VOICES, Speaker, training_speakers


def test_the_same_seed_gives_the_same_speakers_in_the_same_order() -> None:
    assert training_speakers(1, 30) == training_speakers(1, 60)[:30]
    assert training_speakers(1, 30) != training_speakers(2, 30)


def test_the_unchanged_voices_come_first() -> None:
    assert [speaker.mix for speaker in training_speakers(0, 5)] == [((voice, 1.0),) for voice in VOICES]
    assert len(training_speakers(0, 3)) == 3


def test_weights_add_up_to_one_and_shifts_are_bounded_and_names_are_unique() -> None:
    many = training_speakers(3, 400)
    assert len({speaker.name for speaker in many}) == 400
    for speaker in many:
        assert sum(weight for _, weight in speaker.mix) == pytest.approx(1.0)
        assert all(weight > 0 for _, weight in speaker.mix)
        assert abs(speaker.shift_semitones) <= MAX_SHIFT_SEMITONES


def test_no_speaker_of_the_training_is_close_to_a_held_out_one() -> None:
    for seed in range(5):
        for speaker in training_speakers(seed, 300):
            for reserved in HELD_OUT_SPEAKERS:
                assert speaker.name != reserved.name
                assert speakers._distance(speaker, reserved) >= speakers._MIN_DISTANCE


def test_a_style_is_the_weighted_mean() -> None:
    voices = {voice: np.full((510, 256), index, np.float32) for index, voice in enumerate(VOICES)}
    style = Speaker("x", ((VOICES[1], 0.75), (VOICES[3], 0.25))).style(voices)
    assert style.shape == (510, 256)
    assert style.dtype == np.float32
    np.testing.assert_allclose(style, 1.5)

from __future__ import annotations

import numpy as np
import pytest

from voicebox.speech import speakers
from voicebox.speech.speakers import NEVER_SEEN, VOICES, WIDEST_SHIFT, Speaker, cast


def test_the_same_seed_casts_the_same_and_more_of_them_are_added_behind() -> None:
    assert cast(1, 30) == cast(1, 60)[:30]
    assert cast(1, 30) != cast(2, 30)


def test_the_voices_come_first_as_they_are() -> None:
    assert [speaker.mix for speaker in cast(0, 5)] == [((voice, 1.0),) for voice in VOICES]
    assert len(cast(0, 3)) == 3


def test_mixes_are_whole_and_bounded_and_have_names_of_their_own() -> None:
    many = cast(3, 400)
    assert len({speaker.name for speaker in many}) == 400
    for speaker in many:
        assert sum(weight for _, weight in speaker.mix) == pytest.approx(1.0)
        assert all(weight > 0 for _, weight in speaker.mix)
        assert abs(speaker.shift) <= WIDEST_SHIFT


def test_nobody_to_learn_from_is_near_somebody_kept_for_judging() -> None:
    for seed in range(5):
        for speaker in cast(seed, 300):
            for reserved in NEVER_SEEN:
                assert speaker.name != reserved.name
                assert speakers._distance(speaker, reserved) >= speakers._APART


def test_a_style_is_the_weighted_mean() -> None:
    voices = {voice: np.full((510, 256), index, np.float32) for index, voice in enumerate(VOICES)}
    style = Speaker("x", ((VOICES[1], 0.75), (VOICES[3], 0.25))).style(voices)
    assert style.shape == (510, 256)
    assert style.dtype == np.float32
    np.testing.assert_allclose(style, 1.5)

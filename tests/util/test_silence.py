"""Silence at the ends of a sound."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.util.silence import EdgeSilence, edge_silence


def sound(before: int, speech: int, after: int, floor: int = 0) -> np.ndarray:
    edges = [np.full(count, floor, np.int16) for count in (before, after)]
    return np.concatenate([edges[0], np.full(speech, -5000, np.int16), edges[1]])


@pytest.mark.parametrize("floor", [0, 10, -10])
def test_noise_below_minus_70_dbfs_is_silence(floor: int) -> None:
    assert edge_silence(sound(30, 50, 20, floor)) == EdgeSilence(30, 20)


def test_a_soft_consonant_is_no_silence() -> None:
    assert edge_silence(sound(30, 50, 20, floor=11)) == EdgeSilence(0, 0)


def test_int16_has_no_absolute_value_of_its_lowest_sample() -> None:
    assert edge_silence(np.full(3, -32_768, np.int16)) == EdgeSilence(0, 0)


@pytest.mark.parametrize("length", [0, 9])
def test_a_silent_sound_is_silent_before_its_speech(length: int) -> None:
    assert edge_silence(sound(length, 0, 0)) == EdgeSilence(length, 0)

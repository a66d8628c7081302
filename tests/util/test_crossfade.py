"""Sounds that are joined with a cross-fade."""

from __future__ import annotations

import numpy as np
import pytest

from ishowtts.util.crossfade import FADE_S, join, raised_cosine

RATE_HZ = 1000
FADE = int(FADE_S * RATE_HZ)


def level(value: float, samples: int) -> np.ndarray:
    return np.full(samples, value, np.float32)


def test_one_sound_fades_linearly_into_the_next() -> None:
    joined = join([level(1.0, 500), level(-1.0, 400)], RATE_HZ)
    assert len(joined) == 900 - FADE
    assert joined.dtype == np.float32
    assert np.array_equal(joined[: 500 - FADE], level(1.0, 500 - FADE))
    assert joined[500 - FADE : 500] == pytest.approx(np.linspace(1, -1, FADE), abs=1e-6)
    assert np.array_equal(joined[500:], level(-1.0, 400 - FADE))


def test_equal_sounds_keep_their_level_through_the_seam() -> None:
    assert join([level(0.5, 300)] * 3, RATE_HZ) == pytest.approx(level(0.5, 900 - 2 * FADE), abs=1e-6)


def test_a_short_sound_fades_over_its_length_and_a_single_sound_is_returned_itself() -> None:
    assert len(join([level(1.0, 500), level(1.0, 20)], RATE_HZ)) == 500
    alone = level(0.3, 10)
    assert join([alone], RATE_HZ) is alone


def test_a_fade_begins_at_zero_and_has_no_step() -> None:
    fade = raised_cosine(20)
    assert fade[0] == 0
    assert np.diff(np.append(fade, 1)).max() <= np.pi / 2 / 20
    assert fade.argmax() == 19
    assert fade.dtype == np.float32
    assert len(raised_cosine(0)) == 0

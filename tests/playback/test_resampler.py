"""Conversion of the sample rate, block by block."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from ishowtts.playback.resampler import StreamResampler

RATE_HZ = 24_000


@pytest.mark.parametrize("to_hz", [48_000, 44_100, 96_000, 32_000, 22_050])
@pytest.mark.parametrize("block", [240, 101])
def test_blocks_give_the_result_of_a_conversion_in_one_piece(to_hz: int, block: int) -> None:
    rng = np.random.default_rng(0)
    sound = soxr.resample(rng.uniform(-30_000, 30_000, 20_000), 20_000, RATE_HZ).astype(np.float32)
    converter = StreamResampler(RATE_HZ, to_hz)
    parts = []
    for start in range(0, len(sound), block):
        parts.append(converter.convert(sound[start : start + block]))
        assert converter.held_s <= 0.02
    parts.append(converter.flush())
    made = np.concatenate(parts)
    whole = soxr.resample(sound, RATE_HZ, to_hz, quality="HQ")
    assert abs(len(made) - len(whole)) <= 1
    ends = to_hz // 100  # the filter rings at the beginning and the end, where the two are cut at different places
    count = min(len(made), len(whole)) - ends
    assert np.abs(made[ends:count] - whole[ends:count]).max() < 2
    assert converter.held_s == 0


def test_flushed_samples_are_not_heard_in_later_ones() -> None:
    converter = StreamResampler(RATE_HZ, 48_000)
    converter.convert(np.full(240, 10_000, np.float32))
    converter.flush()
    assert not converter.convert(np.zeros(240, np.float32)).any()


def test_rates_without_a_short_common_period_are_refused() -> None:
    with pytest.raises(ValueError, match="24000 and 47999 Hz"):
        StreamResampler(RATE_HZ, 47_999)

"""One rate to another, block by block."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from ishowtts.playback.resampler import StreamResampler

RATE_HZ = 24_000


@pytest.mark.parametrize("to_hz", [48_000, 44_100, 96_000, 32_000, 22_050])
@pytest.mark.parametrize("block", [240, 101])
def test_blocks_come_out_as_the_whole_would(to_hz: int, block: int) -> None:
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
    ends = to_hz // 100  # the beginning and the end of a sound ring: they are cut off at other places
    count = min(len(made), len(whole)) - ends
    assert np.abs(made[ends:count] - whole[ends:count]).max() < 2
    assert converter.held_s == 0


def test_what_is_flushed_does_not_sound_in_what_comes_next() -> None:
    converter = StreamResampler(RATE_HZ, 48_000)
    converter.convert(np.full(240, 10_000, np.float32))
    converter.flush()
    assert not converter.convert(np.zeros(240, np.float32)).any()


def test_rates_that_have_nothing_in_common_are_refused() -> None:
    with pytest.raises(ValueError, match="24000 and 47999 Hz"):
        StreamResampler(RATE_HZ, 47_999)

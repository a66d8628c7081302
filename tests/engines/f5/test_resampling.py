"""Our resampler makes what torchaudio's makes, which upstream uses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5.reference import _COARSEST_HZ
from ishowtts.engines.f5.resampling import _filters, resample
from ishowtts.engines.voices.recordings import open_recording, read_samples
from ishowtts.engines.voices.voice_library import VoiceLibrary

pytestmark = pytest.mark.f5

RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_150, 48_000, 96_000, 192_000)
PARITY = 1e-6  # of the peak


def sounds(rate_hz: int) -> dict[str, Tensor]:
    """Second-long sounds: white noise, which has every frequency, a sweep, and the bundled clip, played at any rate."""
    noise = torch.randn(1, rate_hz + 7, generator=torch.Generator().manual_seed(3))
    at = torch.arange(rate_hz) / rate_hz
    with open_recording(VoiceLibrary(None).find(None).audio_path) as clip:
        speech = torch.from_numpy(read_samples(clip, 15.0, "float32").T.copy())
    sweep = torch.sin(math.pi * rate_hz / 2 * at**2)[None]
    return {"noise": noise, "sweep": sweep, "two channels": torch.cat([noise, -noise.flip(1)]), "speech": speech}


@pytest.mark.parametrize("rate_hz", RATES)
def test_it_makes_what_torchaudio_makes(rate_hz: int) -> None:
    from torchaudio.transforms import Resample

    for name, sound in sounds(rate_hz).items():
        theirs = Resample(rate_hz, 24_000)(sound)
        ours = resample(sound, rate_hz, 24_000)
        assert (ours.shape, ours.dtype) == (theirs.shape, torch.float32), name
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < PARITY, name


def test_a_tone_below_the_new_limit_keeps_its_height_and_one_above_is_removed() -> None:
    at = torch.arange(48_000, dtype=torch.float64) / 48_000
    kept, removed = (resample(torch.sin(2 * math.pi * hz * at).float()[None], 48_000, 24_000) for hz in (440, 20_000))
    moments = torch.arange(24_000, dtype=torch.float64) / 24_000
    expected = torch.sin(2 * math.pi * 440 * moments).float()
    assert float((kept[0] - expected)[100:-100].abs().max()) < 2e-3
    assert float(removed[0, 100:-100].abs().max()) < 1e-2


@pytest.mark.parametrize("samples", [1, 2, 79, 80])
def test_a_sound_of_a_few_samples_has_the_right_length(samples: int) -> None:
    assert resample(torch.ones(1, samples), 44_100, 24_000).shape == (1, math.ceil(samples * 240 / 441))


def test_the_filters_of_the_worst_rate_that_is_accepted_are_small() -> None:
    """torchaudio's would have 480 x 200,041 taps, which it computes in fp64: 0.8 GB for each of several tables."""
    rate_hz = 10_000_000 + _COARSEST_HZ
    weights, _ = _filters(rate_hz // _COARSEST_HZ, 24_000 // _COARSEST_HZ)
    assert weights.nbytes < 10e6

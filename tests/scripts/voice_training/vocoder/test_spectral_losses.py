"""The reconstruction losses."""

from __future__ import annotations

from typing import Any

import torch

from ishowtts.engines.f5.mel_spectrogram import log_mel
from voice_training.vocoder.spectral_losses import LogMel, MultiResolutionStftLoss


def test_the_mel_equals_the_engines_bit_for_bit(speech: list[Any]) -> None:
    waves = torch.stack([torch.from_numpy(wave[:24_001]) for wave in speech])
    theirs = torch.stack([log_mel(wave) for wave in waves])
    assert torch.equal(LogMel()(waves).transpose(1, 2), theirs)


def test_silence_gives_finite_gradients() -> None:
    generated = torch.zeros(1, 4096, requires_grad=True)
    loss = LogMel()(generated).mean() + MultiResolutionStftLoss((1024, 256))(generated, torch.zeros(1, 4096))
    loss.backward()
    assert generated.grad is not None
    assert generated.grad.isfinite().all()


def test_equal_sounds_have_no_loss_and_a_quieter_one_has(speech: list[Any]) -> None:
    wave = torch.from_numpy(speech[0]).unsqueeze(0)
    loss = MultiResolutionStftLoss((1024, 256))
    assert loss(wave, wave) == 0
    assert loss(wave / 2, wave) > 0.3


def test_short_windows_detect_smeared_pulses_that_long_ones_miss() -> None:
    time_s = torch.arange(24_000) / 24_000
    harmonics = torch.arange(1, 100).unsqueeze(1) * 100
    scattered = 6.28 * torch.rand(99, 1, generator=torch.Generator().manual_seed(0))
    pulses = torch.cos(6.2832 * harmonics * time_s).sum(0, keepdim=True) / 99
    smeared = torch.cos(6.2832 * harmonics * time_s + scattered).sum(0, keepdim=True) / 99
    assert MultiResolutionStftLoss((128,))(smeared, pulses) > 3 * MultiResolutionStftLoss((2048,))(smeared, pulses)

"""Discriminators that learn, and teach."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voice_training.vocoder.discriminators import DiscriminatorOutput, Discriminators
from voice_training.vocoder.recipe import DiscriminatorSizes

SMALL = DiscriminatorSizes(periods=(2, 3), period_widths=(8, 16), windows=(512, 256), window_width=2)


def adversary(shape: DiscriminatorSizes = SMALL, resolutions: float = 1.0) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(shape, resolutions)


def tones(generator: torch.Generator) -> Tensor:
    """[2, 1027]: the length is not a multiple of a period."""
    hz = 100 + 300 * torch.rand(2, 1, generator=generator)
    return 0.3 * torch.sin(6.2832 * hz * torch.arange(1027) / 24_000)


def noise(generator: torch.Generator) -> Tensor:
    return 0.2 * torch.randn(2, 1027, generator=generator)


def mean_score(verdicts: Sequence[DiscriminatorOutput]) -> float:
    return float(torch.stack([verdict.score.mean() for verdict in verdicts]).mean().detach())


def test_they_learn_to_tell_tones_from_noise() -> None:
    judge, generator = adversary(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-2, betas=(0.8, 0.9))
    losses = []
    for _ in range(10):
        real, made = tones(generator), noise(generator)
        loss = judge.discriminator_loss(judge(real), judge(made))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.65 * losses[0]
    for real_one, made_one in zip(judge(tones(generator)), judge(noise(generator)), strict=True):
        assert real_one.score.mean() > made_one.score.mean() + 0.1


def test_a_sound_is_taught_towards_what_they_take_for_real() -> None:
    judge, generator = adversary(), torch.Generator().manual_seed(0)
    made = noise(generator)
    first, score = judge.adversarial_loss(judge(made)), mean_score(judge(made))
    for _ in range(8):
        made = made.detach().requires_grad_()
        judge.adversarial_loss(judge(made)).backward()
        assert made.grad is not None
        made = made - 0.02 * made.grad.sign()
    assert judge.adversarial_loss(judge(made)) < first - 0.005
    assert mean_score(judge(made)) > score


def test_features_of_the_same_sound_match_and_others_do_not() -> None:
    judge, generator = adversary(), torch.Generator().manual_seed(0)
    verdicts = judge(tones(generator))
    assert judge.feature_matching_loss(verdicts, verdicts) == 0
    assert judge.feature_matching_loss(verdicts, judge(tones(generator))) > 0


def test_the_share_of_spectra_is_the_recipes() -> None:
    shape = DiscriminatorSizes(periods=(2,), period_widths=(4, 4), windows=(256,), window_width=4)
    made = tones(torch.Generator().manual_seed(0))
    losses = []
    for resolutions in (0.0, 0.1, 1.0):
        judge = adversary(shape, resolutions)
        losses.append(float(judge.adversarial_loss(judge(made)).detach()))
    periods, tenth, whole = losses
    assert abs((tenth - periods) - 0.1 * (whole - periods)) < 1e-5
    assert whole > periods


def test_the_widths_are_the_recipes_and_the_default_is_small() -> None:
    def size(shape: DiscriminatorSizes) -> int:
        return sum(parameter.numel() for parameter in adversary(shape).parameters())

    assert size(SMALL) < size(DiscriminatorSizes()) < 1_500_000

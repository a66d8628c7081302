"""The discriminators learn, and their gradient improves a sound."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from voice_training.recipe import DiscriminatorSizes
from voice_training.vocoder.discriminators import DiscriminatorOutput, Discriminators

SMALL = DiscriminatorSizes(periods=(2, 3), period_widths=(8, 16), windows=(512, 256), window_width=2)


def discriminators(sizes: DiscriminatorSizes = SMALL, resolutions: float = 1.0) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(sizes, resolutions)


def tones(generator: torch.Generator) -> Tensor:
    """[2, 1027]: the length is not a multiple of a period."""
    hz = 100 + 300 * torch.rand(2, 1, generator=generator)
    return 0.3 * torch.sin(6.2832 * hz * torch.arange(1027) / 24_000)


def noise(generator: torch.Generator) -> Tensor:
    return 0.2 * torch.randn(2, 1027, generator=generator)


def mean_score(outputs: Sequence[DiscriminatorOutput]) -> float:
    return float(torch.stack([output.score.mean() for output in outputs]).mean().detach())


def test_they_learn_to_distinguish_tones_from_noise() -> None:
    model, generator = discriminators(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2, betas=(0.8, 0.9))
    losses = []
    for _ in range(10):
        real, generated = tones(generator), noise(generator)
        loss = model.discriminator_loss(model(real), model(generated))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.65 * losses[0]
    for of_real, of_generated in zip(model(tones(generator)), model(noise(generator)), strict=True):
        assert of_real.score.mean() > of_generated.score.mean() + 0.1


def test_the_adversarial_loss_improves_the_score_of_a_sound() -> None:
    model, generator = discriminators(), torch.Generator().manual_seed(0)
    generated = noise(generator)
    first, score = model.adversarial_loss(model(generated)), mean_score(model(generated))
    for _ in range(8):
        generated = generated.detach().requires_grad_()
        model.adversarial_loss(model(generated)).backward()
        assert generated.grad is not None
        generated = generated - 0.02 * generated.grad.sign()
    assert model.adversarial_loss(model(generated)) < first - 0.005
    assert mean_score(model(generated)) > score


def test_the_feature_matching_loss_is_zero_only_for_the_same_sound() -> None:
    model, generator = discriminators(), torch.Generator().manual_seed(0)
    outputs = model(tones(generator))
    assert model.feature_matching_loss(outputs, outputs) == 0
    assert model.feature_matching_loss(outputs, model(tones(generator))) > 0


def test_the_weight_of_the_discriminators_of_spectra_is_the_recipes() -> None:
    sizes = DiscriminatorSizes(periods=(2,), period_widths=(4, 4), windows=(256,), window_width=4)
    generated = tones(torch.Generator().manual_seed(0))
    losses = []
    for resolutions in (0.0, 0.1, 1.0):
        model = discriminators(sizes, resolutions)
        losses.append(float(model.adversarial_loss(model(generated)).detach()))
    periods, tenth, whole = losses
    assert abs((tenth - periods) - 0.1 * (whole - periods)) < 1e-5
    assert whole > periods


def test_the_widths_are_the_recipes_and_the_default_is_small() -> None:
    def count(sizes: DiscriminatorSizes) -> int:
        return sum(parameter.numel() for parameter in discriminators(sizes).parameters())

    assert count(SMALL) < count(DiscriminatorSizes()) < 1_500_000

"""The discriminators of the vocoder: of periods (HiFi-GAN) and of spectra at several resolutions (as in Vocos)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from vocos.discriminators import DiscriminatorR

from voice_training.recipe import DiscriminatorSizes

_KERNEL, _STRIDE, _LAST_KERNEL = 5, 3, 3
_SLOPE = 0.1


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What one discriminator returns for a batch.

    Attributes:
        score: high for real speech, low for generated speech, at many places.
        features: activations of the layers.
    """

    score: Tensor
    features: Sequence[Tensor]


class Discriminators(nn.Module):
    """All discriminators and their losses.

    Args:
        resolutions: weight of the discriminators of spectra relative to the discriminators of periods.
    """

    def __init__(self, sizes: DiscriminatorSizes, resolutions: float) -> None:
        super().__init__()
        self.periods = nn.ModuleList(_PeriodDiscriminator(period, sizes.period_widths) for period in sizes.periods)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vocos uses torch's old weight norm, which computes the same
            self.windows = nn.ModuleList(
                DiscriminatorR(length, channels=sizes.window_width) for length in sizes.windows
            )
        self._weights = [1 / len(self.periods)] * len(self.periods)
        self._weights += [resolutions / len(self.windows)] * len(self.windows)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Rate sounds, fp32 [batch, samples]. One output for each discriminator."""
        return [DiscriminatorOutput(*discriminator(audio)) for discriminator in (*self.periods, *self.windows)]

    def discriminator_loss(
        self, real: Sequence[DiscriminatorOutput], generated: Sequence[DiscriminatorOutput]
    ) -> Tensor:
        """The hinge loss of the discriminators, a scalar."""
        losses = (
            F.relu(1 - r.score.float()).mean() + F.relu(1 + g.score.float()).mean()
            for r, g in zip(real, generated, strict=True)
        )
        return self._weighted_sum(losses)

    def adversarial_loss(self, generated: Sequence[DiscriminatorOutput]) -> Tensor:
        """The hinge loss of the vocoder, a scalar."""
        return self._weighted_sum(F.relu(1 - g.score.float()).mean() for g in generated)

    def feature_matching_loss(
        self, real: Sequence[DiscriminatorOutput], generated: Sequence[DiscriminatorOutput]
    ) -> Tensor:
        """L1 between the features of generated and real speech, a scalar."""
        return self._weighted_sum(
            torch.stack(
                [F.l1_loss(ours.float(), theirs.float()) for ours, theirs in zip(g.features, r.features, strict=True)]
            ).sum()
            for r, g in zip(real, generated, strict=True)
        )

    def _weighted_sum(self, losses: Iterable[Tensor]) -> Tensor:
        return torch.stack([weight * loss for weight, loss in zip(self._weights, losses, strict=True)]).sum()


class _PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample. The widths can be chosen, unlike those of vocos' own."""

    def __init__(self, period: int, widths: Sequence[int]) -> None:
        super().__init__()
        self._period = period
        strides = [_STRIDE] * (len(widths) - 1) + [1]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (_KERNEL, 1), (stride, 1), padding=(_KERNEL // 2, 0)))
            for before, after, stride in zip((1, *widths[:-1]), widths, strides, strict=True)
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, (_LAST_KERNEL, 1), padding=(_LAST_KERNEL // 2, 0)))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.pad(audio.unsqueeze(1), (0, -audio.shape[1] % self._period), "reflect")
        x = x.view(len(x), 1, -1, self._period)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), _SLOPE)
            features.append(x)
        score = self.last(x)
        return score, [*features[1:], score]

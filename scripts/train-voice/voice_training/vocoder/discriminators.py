"""Who tells real speech from made speech while Vocos learns: by periods (HiFi-GAN) and by spectra (as Vocos has it)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from vocos.discriminators import DiscriminatorR

from voice_training.vocoder.recipe import DiscriminatorSizes

_KERNEL, _STRIDE, _LAST_KERNEL = 5, 3, 3
_SLOPE = 0.1


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What one discriminator says of a batch.

    Attributes:
        score: high for real, low for made, at many places.
        features: what it saw on the way.
    """

    score: Tensor
    features: Sequence[Tensor]


class Discriminators(nn.Module):
    """All discriminators.

    Args:
        resolutions: what those that look at spectra count, against those that look at periods.
    """

    def __init__(self, shape: DiscriminatorSizes, resolutions: float) -> None:
        super().__init__()
        self.periods = nn.ModuleList(_PeriodDiscriminator(period, shape.period_widths) for period in shape.periods)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vocos' way to normalise weights is old, and does the same
            self.windows = nn.ModuleList(
                DiscriminatorR(length, channels=shape.window_width) for length in shape.windows
            )
        self._shares = [1 / len(self.periods)] * len(self.periods)
        self._shares += [resolutions / len(self.windows)] * len(self.windows)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Judge sounds, fp32 [batch, samples]."""
        return [DiscriminatorOutput(*discriminator(audio)) for discriminator in (*self.periods, *self.windows)]

    def discriminator_loss(self, real: Sequence[DiscriminatorOutput], made: Sequence[DiscriminatorOutput]) -> Tensor:
        """The hinge loss that teaches the discriminators, a scalar."""
        losses = (
            F.relu(1 - r.score.float()).mean() + F.relu(1 + m.score.float()).mean()
            for r, m in zip(real, made, strict=True)
        )
        return self._total(losses)

    def adversarial_loss(self, made: Sequence[DiscriminatorOutput]) -> Tensor:
        """The hinge loss that teaches the vocoder, a scalar."""
        return self._total(F.relu(1 - m.score.float()).mean() for m in made)

    def feature_matching_loss(self, real: Sequence[DiscriminatorOutput], made: Sequence[DiscriminatorOutput]) -> Tensor:
        """How far the features of made speech are from those of the real one, a scalar."""
        return self._total(
            torch.stack(
                [F.l1_loss(ours.float(), theirs.float()) for ours, theirs in zip(m.features, r.features, strict=True)]
            ).sum()
            for r, m in zip(real, made, strict=True)
        )

    def _total(self, losses: Iterable[Tensor]) -> Tensor:
        return torch.stack([share * loss for share, loss in zip(self._shares, losses, strict=True)]).sum()


class _PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample; vocos' own has no widths to choose."""

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

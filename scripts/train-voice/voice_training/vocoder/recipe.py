"""What a training of Vocos is told. Imports no torch."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from ishowtts.engines.f5.architecture import HOP, Vocoder, vocoder_of

_Weight = Annotated[float, Field(ge=0)]
_Width = Annotated[int, Field(ge=1, le=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossWeights(_Part):
    """What each loss counts; a zero leaves it out.

    Attributes:
        mel: L1 of the log mel spectrogram.
        stft: spectra of several resolutions, while there is no adversary.
        stft_beside_adversary: the same, once there is one.
        adversarial: hinge loss of the discriminators.
        matching: L1 of the discriminators' features.
        resolutions: of the discriminators that look at spectra, against those that look at periods.
    """

    mel: _Weight = 45.0
    stft: _Weight = 10.0
    stft_beside_adversary: _Weight = 0.0
    adversarial: _Weight = 1.0
    matching: _Weight = 1.0
    resolutions: _Weight = 0.1


class DiscriminatorSizes(_Part):
    """The discriminators: upstream's are twenty times as wide, and hold 43 million numbers."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[_Width, ...] = Field(default=(16, 32, 64, 128, 128), min_length=2)
    windows: tuple[int, ...] = (2048, 1024, 512)
    window_width: _Width = 16


class VocoderRecipe(_Part):
    """A small Vocos and how it is trained.

    Attributes:
        crop_frames: length of a crop; a frame is 256 samples.
        gain_db: each crop is made louder or softer by a random gain between these, and kept from clipping.
        mel_noise: standard deviation of noise on the log mel that the vocoder hears.
        mel_blur: how much of the log mel that the vocoder hears is blurred at most, 0 to 1: F5's are smoother than
            real ones.
        pretrain_steps: steps without an adversary; where it is `steps`, there is none.
        final_rate: the learning rate at the last step, as a part of the highest.
        clip_norm: gradients are clipped to this norm.
        log_every: `advance` tells losses every so many steps.
        compiled: run the backbone through torch.compile; on CUDA only.
    """

    dim: int = Field(256, ge=16, le=1024)
    intermediate_dim: int = Field(768, ge=16, le=4096)
    num_layers: int = Field(8, ge=1, le=32)
    batch: int = Field(16, ge=1, le=1024)
    crop_frames: int = Field(64, ge=16, le=1024)
    gain_db: tuple[float, float] = (-9.0, 3.0)
    mel_noise: float = Field(0.0, ge=0, le=1)
    mel_blur: float = Field(0.0, ge=0, le=1)
    steps: int = Field(ge=1)
    pretrain_steps: int = Field(ge=0)
    learning_rate: float = Field(5e-4, gt=0, le=0.1)
    final_rate: float = Field(0.02, ge=0, le=1)
    warmup_steps: int = Field(200, ge=0)
    betas: tuple[float, float] = (0.8, 0.9)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1000.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    loss: LossWeights = LossWeights()
    stft_windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    adversaries: DiscriminatorSizes = DiscriminatorSizes()
    log_every: int = Field(50, ge=1)
    compiled: bool = False

    @model_validator(mode="after")
    def _crops_hold_the_windows(self) -> Self:
        longest = max(*self.stft_windows, *self.adversaries.windows)
        if self.crop_frames * HOP <= longest // 2:
            raise ValueError(
                f"crop_frames: {self.crop_frames} frames are shorter than half a window of {longest} samples; "
                f"take {longest // 2 // HOP + 1} or more"
            )
        return self

    def description(self) -> Vocoder:
        """The model, as a checkpoint's `config.yaml` describes it."""
        return vocoder_of(self.dim, self.intermediate_dim, self.num_layers)

    def rate(self, step: int, since: int = 0) -> float:
        """The learning rate of a step: a warm-up that begins at `since`, then a cosine down to the last step."""
        warmth = min(1.0, (step - since + 1) / (self.warmup_steps + 1))
        falling = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / self.steps))
        return self.learning_rate * warmth * (self.final_rate + (1 - self.final_rate) * falling)

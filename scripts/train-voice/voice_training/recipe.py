"""The recipe: one YAML file that describes the speech and the training of both models. Imports no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from ishowtts.engines.f5.architecture import HOP, DitConfig, VocoderConfig, vocoder_of
from voice_training.errors import TrainingError
from voice_training.texts import Language

_Weight = Annotated[float, Field(ge=0)]
_Width = Annotated[int, Field(ge=1, le=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpeechRecipe(_Part):
    """What the training speech says, and who says it.

    Attributes:
        texts: `closed` is a list of twenty words, `open` is everything.
        languages: the share of packs of each language.
        speakers: number of speakers: first the five voices of Kokoro, then mixes of them.
        hours: how much speech to keep, all packs together.
        pack_clips: sentences in a pack.
        speeds: the slowest and the fastest speed.
        worst: highest share of words (Mandarin: characters) that Whisper may mishear in a clip that is kept. With
            `None`, Whisper is not used and every clip is kept.
    """

    texts: Literal["closed", "open"]
    languages: dict[Language, float] = {"en": 1.0}
    speakers: int = Field(ge=1, le=1000)
    hours: float = Field(gt=0)
    pack_clips: int = Field(default=60, ge=1, le=1000)
    speeds: tuple[float, float] = (0.9, 1.15)
    worst: float | None = Field(default=0.15, ge=0)


class FlowRecipe(_Part):
    """How the transformer is trained.

    Attributes:
        arch: the architecture.
        batch_s: speech in one step, in seconds.
        short_s, longest_s: the maximum sample length grows from `short_s` to `longest_s` over the first share `growing`
            of all steps. A model finds the alignment of text and speech in short samples first.
        prefix: share of samples in which everything after the first clip is hidden, as in the engine. In the others,
            a span of 70 to 100 % is hidden, as upstream does.
        time_power: times are a power of a uniform random number; 1 is upstream's way. With a higher power, more times
            are near 0, where only the text says what is spoken, so the model finds the alignment sooner.
        log_every: `train_step` returns losses once in this many steps.
        compiled: run the transformer through torch.compile; for CUDA.
    """

    arch: DitConfig
    steps: int = Field(ge=1)
    batch_s: float = Field(gt=0)
    short_s: float = Field(gt=0)
    longest_s: float = Field(gt=0)
    growing: float = Field(default=0.2, ge=0, le=1)
    prefix: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    time_power: float = Field(default=1.0, ge=1, le=4)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    ema_decay: float = Field(default=0.999, gt=0, lt=1)
    log_every: int = Field(default=100, ge=1)
    compiled: bool = False

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step: a linear warm-up, then half a cosine down to 1 % at the last step."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = min(1.0, (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps))
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    def longest_s_at(self, step: int) -> float:
        """The maximum sample length of a step, in seconds."""
        done = 1.0 if self.growing == 0 else min(1.0, step / (self.growing * self.steps))
        return self.short_s + (self.longest_s - self.short_s) * done


class LossWeights(_Part):
    """The weight of each loss of the vocoder. A weight of zero leaves the loss out.

    Attributes:
        mel: L1 of the log mel spectrogram.
        stft: multi-resolution STFT loss in the steps without discriminators.
        stft_beside_adversary: the same loss in the steps with discriminators.
        adversarial: hinge loss of the discriminators.
        matching: L1 of the discriminators' features (feature matching).
        resolutions: weight of the discriminators of spectra relative to the discriminators of periods.
    """

    mel: _Weight = 45.0
    stft: _Weight = 10.0
    stft_beside_adversary: _Weight = 0.0
    adversarial: _Weight = 1.0
    matching: _Weight = 1.0
    resolutions: _Weight = 0.1


class DiscriminatorSizes(_Part):
    """Sizes of the discriminators. Upstream's are twenty times as wide and have 43 million parameters.

    Attributes:
        periods: one discriminator for each period, in samples.
        period_widths: channels of the layers of a period discriminator.
        windows: one discriminator of spectra for each window length, in samples.
        window_width: channels of a discriminator of spectra.
    """

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[_Width, ...] = Field(default=(16, 32, 64, 128, 128), min_length=2)
    windows: tuple[int, ...] = (2048, 1024, 512)
    window_width: _Width = 16


class VocoderRecipe(_Part):
    """A small Vocos and how it is trained.

    Attributes:
        crop_frames: length of a crop; a frame is 256 samples.
        gain_db: range of the random gain of each crop. A crop never clips.
        mel_noise: standard deviation of noise that is added to the input mel.
        mel_blur: the input mel is blurred at most by this share, 0 to 1. F5's mels are smoother than real ones.
        pretrain_steps: steps without discriminators. If it equals `steps`, there are never any.
        final_rate: the learning rate of the last step, relative to the highest.
        clip_norm: gradients are clipped to this norm.
        adversaries: sizes of the discriminators.
        log_every: `train_step` returns losses once in this many steps.
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

    def description(self) -> VocoderConfig:
        """The model, as a checkpoint's `config.yaml` describes it."""
        return vocoder_of(self.dim, self.intermediate_dim, self.num_layers)

    def learning_rate_at(self, step: int, since: int = 0) -> float:
        """The learning rate of a step: a linear warm-up from step `since` on, and a cosine down to the last step."""
        warmth = min(1.0, (step - since + 1) / (self.warmup_steps + 1))
        falling = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / self.steps))
        return self.learning_rate * warmth * (self.final_rate + (1 - self.final_rate) * falling)


class Recipe(_Part):
    """The whole recipe.

    Attributes:
        name: the name of the model, for its `model.yaml`.
        seed: the seed of texts, speakers, weights, samples and noise.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")
    seed: int = Field(default=1, ge=0, lt=2**31)
    speech: SpeechRecipe
    flow: FlowRecipe
    vocoder: VocoderRecipe


def read(path: Path) -> Recipe:
    """Read a recipe. Raises TrainingError with the first mistake."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path} cannot be read as a recipe; name a file of scripts/train-voice/recipes") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainingError(f"{path}: {where}: {first['msg']}; fix the recipe") from error

"""Training of a small F5: flow matching on mels with a part hidden (F5-TTS, section 3; upstream's `CFM.forward`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import HOP, MELS, RATE_HZ, Dit, Model
from ishowtts.engines.f5.stock import build_cfm
from voicebox import schedule
from voicebox.optimiser import Optimiser
from voicebox.upsampling import TextRows
from voicebox.utterances import Batch, Utterances

_FRAMES_PER_S: Final = RATE_HZ / HOP
# Upstream's shares of steps that learn to speak without reference, and without text and reference (section 3.2).
_NO_REFERENCE, _NO_CONDITION = 0.3, 0.2
_HIDDEN = (0.7, 1.0)


class FlowRecipe(BaseModel):
    """How the transformer is trained.

    Args:
        batch_s: speech in one step, together.
        short_s, longest_s: the longest sample grows from the one to the other over the first share `growing` of all
            steps: an alignment is found in short utterances first.
        prefix: share of samples that are hidden behind their first clip, as the engine hides what it is to speak; of
            the others a span of 70 to 100 % is hidden, as upstream has it.
        compile: the transformer, by torch's compiler; for CUDA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arch: Dit
    steps: int = Field(ge=1)
    batch_s: float = Field(gt=0)
    short_s: float = Field(gt=0)
    longest_s: float = Field(gt=0)
    growing: float = Field(default=0.2, ge=0, le=1)
    prefix: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    ema_decay: float = Field(default=0.999, gt=0, lt=1)
    compile: bool = False


class FlowTraining:
    """The transformer, its average and its optimiser. Step n is the same whatever came between: resuming is exact.

    Args:
        vocab: token to index.
        seed: of weights, samples and noise.
    """

    def __init__(
        self, recipe: FlowRecipe, utterances: Utterances, vocab: dict[str, int], device: torch.device, seed: int
    ) -> None:
        self._recipe, self._utterances, self._device, self._seed = recipe, utterances, device, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # Masked attention in training: samples of a batch differ in length. The engine speaks line by line.
            masked = recipe.arch.model_copy(update={"attn_mask_enabled": True})
            self._cfm = build_cfm(Model(arch=masked), vocab)
        transformer = self._cfm.transformer
        if recipe.arch.text_embedding_average_upsampling:
            transformer.text_embed.__class__ = TextRows
        self._cfm.to(device).train()
        self._run = torch.compile(transformer, dynamic=True) if recipe.compile else transformer
        self._optimiser = Optimiser(
            transformer,
            decay=recipe.weight_decay,
            betas=(0.9, 0.98),
            ema_decay=recipe.ema_decay,
            most_norm=1.0,
        )
        self.step = 0

    def advance(self) -> dict[str, Tensor | float]:
        """One step. Returns its loss, and what else is worth a line in the log."""
        recipe = self._recipe
        random = np.random.default_rng((self._seed, self.step))
        longest_s = schedule.longest(self.step, recipe.steps, recipe.short_s, recipe.longest_s, recipe.growing)
        batch = self._utterances.batch(
            random, round(longest_s * _FRAMES_PER_S), round(recipe.batch_s * _FRAMES_PER_S)
        )
        noise = torch.Generator(self._device).manual_seed(int(random.integers(2**62)))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            loss = self._loss(batch, random, noise)
        rate = schedule.learning_rate(self.step, recipe.steps, recipe.warmup_steps, recipe.learning_rate)
        norm = self._optimiser.advance(loss, rate)
        self.step += 1
        return {"loss": loss.detach(), "gradient": norm, "rate": rate}

    def _loss(self, batch: Batch, random: np.random.Generator, noise: torch.Generator) -> Tensor:
        """Mean square of the flow's error over what is hidden."""
        speech, device = batch.mels, self._device
        frame = torch.arange(speech.shape[1], device=device).unsqueeze(0)
        spoken = frame < batch.lengths.unsqueeze(1)
        hidden = self._hidden(batch, frame, noise) & spoken
        start = torch.randn(speech.shape, generator=noise, device=device)
        time = torch.rand(len(speech), generator=noise, device=device)
        at = time.view(-1, 1, 1)
        no_condition = random.random() < _NO_CONDITION
        predicted = self._run(
            x=(1 - at) * start + at * speech,
            cond=speech.masked_fill(hidden.unsqueeze(-1), 0.0),
            text=batch.tokens,
            time=time,
            mask=spoken,
            drop_audio_cond=no_condition or random.random() < _NO_REFERENCE,
            drop_text=no_condition,
        )
        error = F.mse_loss(predicted.float(), speech - start, reduction="none").mean(-1)
        return (error * hidden).sum() / hidden.sum().clamp(min=1)

    def _hidden(self, batch: Batch, frame: Tensor, noise: torch.Generator) -> Tensor:
        """Which frames are to be found, bool [samples, frames]."""
        lengths, count = batch.lengths, len(batch.lengths)
        share, where, kind = torch.rand((3, count), generator=noise, device=self._device)
        width = (lengths * (_HIDDEN[0] + (_HIDDEN[1] - _HIDDEN[0]) * share)).long()
        first = ((lengths - width) * where).long()
        behind = (kind < self._recipe.prefix) & (batch.firsts < lengths)
        first = torch.where(behind, batch.firsts, first).unsqueeze(1)
        last = torch.where(behind, lengths, first.squeeze(1) + width).unsqueeze(1)
        return (frame >= first) & (frame < last)

    def state(self) -> dict[str, Tensor]:
        """What resuming needs."""
        return self._optimiser.state()

    def resume(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on where `state` was taken."""
        self._optimiser.resume(state)
        self.step = step

    def exported(self) -> dict[str, Tensor]:
        """The averaged weights, fp16, by upstream's names of its `CFM`."""
        fixed = {name: value for name, value in self._cfm.state_dict().items() if name.startswith("transformer.")}
        averaged = {f"transformer.{name}": value for name, value in self._optimiser.averaged().items()}
        return {name: value.detach().cpu().to(torch.float16) for name, value in (fixed | averaged).items()}

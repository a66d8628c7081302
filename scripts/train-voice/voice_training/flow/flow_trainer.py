"""Training of a small F5: flow matching on mels with a part hidden (F5-TTS, section 3; upstream's `CFM.forward`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import HOP, RATE_HZ, Model
from ishowtts.engines.f5.stock import build_cfm
from voice_training.flow import schedule
from voice_training.flow.recipe import FlowRecipe
from voice_training.flow.upsampling import upsample
from voice_training.flow.utterances import Batch, UtteranceSampler
from voice_training.trainer.optimizer import ClippedAdamW, MovingAverage, add_prefix, average_weights, select_prefix

_FRAMES_PER_S: Final = RATE_HZ / HOP
# Upstream's shares of steps that learn to speak without reference, and without text and reference (section 3.2).
_NO_REFERENCE, _NO_CONDITION = 0.3, 0.2
_HIDDEN = (0.7, 1.0)
_BETAS, _MAX_NORM = (0.9, 0.98), 1.0
_STEP, _TRAINED, _AVERAGE = "step", "trained.", "average."


class FlowTrainer:
    """The transformer, its average and its optimizer. Step n is the same whatever came between: resuming is exact.

    Args:
        vocab: token to index.
        seed: of weights, samples and noise.
    """

    def __init__(
        self, recipe: FlowRecipe, utterances: UtteranceSampler, vocab: dict[str, int], device: torch.device, seed: int
    ) -> None:
        self._recipe, self._utterances, self._device, self._seed = recipe, utterances, device, seed
        # Samples of a batch differ in length; the engine, whose lines stand alone, needs no mask.
        masked = recipe.arch.model_copy(update={"attn_mask_enabled": True})
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the memory that masks take
            torch.manual_seed(seed)
            self._cfm = build_cfm(Model(arch=masked), vocab)
        transformer = self._cfm.transformer
        if recipe.arch.text_embedding_average_upsampling:
            transformer.text_embed.average_upsample_text_by_mask = upsample
        for module in transformer.modules():
            if isinstance(module, nn.Dropout):
                module.p = recipe.dropout
        self._cfm.to(device).train()
        self._run = torch.compile(transformer, dynamic=True) if recipe.compiled else transformer
        self._optimizer = ClippedAdamW(
            transformer,
            weight_decay=recipe.weight_decay,
            betas=_BETAS,
            max_norm=_MAX_NORM,
        )
        self._average = MovingAverage(transformer, recipe.ema_decay)
        self.step = 0
        self._logged: list[Tensor] = []

    def train_step(self) -> dict[str, float]:
        """Do one step.

        Returns:
            After every `log_every` steps the means of loss and norm of the gradient since then, the size of the step
            and the longest sample. Otherwise nothing: to read a loss halts a GPU.
        """
        recipe = self._recipe
        random = np.random.default_rng((self._seed, self.step))
        longest_s = schedule.longest(self.step, recipe.steps, recipe.short_s, recipe.longest_s, recipe.growing)
        batch = self._utterances.batch(random, round(longest_s * _FRAMES_PER_S), round(recipe.batch_s * _FRAMES_PER_S))
        noise = torch.Generator(self._device).manual_seed(int(random.integers(2**62)))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            loss = self._loss(batch, random, noise)
        rate = schedule.learning_rate(self.step, recipe.steps, recipe.warmup_steps, recipe.learning_rate)
        norm = self._optimizer.step(loss, rate)
        self._average.update(self._cfm.transformer, self.step)
        self.step += 1
        self._logged.append(torch.stack((loss.detach(), norm)))
        if self.step % recipe.log_every:
            return {}
        mean_loss, mean_norm = torch.stack(self._logged).mean(0).tolist()
        self._logged.clear()
        return {"loss": mean_loss, "gradient": mean_norm, "rate": rate, "longest_s": longest_s}

    def _loss(self, batch: Batch, random: np.random.Generator, noise: torch.Generator) -> Tensor:
        """Mean square of the flow's error over what is hidden."""
        speech, device = batch.mels, self._device
        frame = torch.arange(speech.shape[1], device=device).unsqueeze(0)
        spoken = frame < batch.lengths.unsqueeze(1)
        hidden = self._hidden(batch, frame, noise) & spoken
        start = torch.randn(speech.shape, generator=noise, device=device)
        time = torch.rand(len(speech), generator=noise, device=device) ** self._recipe.time_power
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
        """What `resume` needs, on the CPU: five bytes a weight."""
        trained, average = self._optimizer.state(), self._average.state()
        return add_prefix(_TRAINED, trained) | add_prefix(_AVERAGE, average) | {_STEP: torch.tensor(self.step)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where it was made by another recipe."""
        if _STEP not in state:
            raise ValueError("The saved state holds no training of a transformer; resume from another file")
        self._optimizer.resume(select_prefix(_TRAINED, state))
        self._average.resume(select_prefix(_AVERAGE, state))
        self.step = int(state[_STEP])


def export_weights(recipe: FlowRecipe, vocab: dict[str, int], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights of a training's state, by upstream's names of its `CFM`.

    Raises:
        ValueError: the state was made by another recipe.
    """
    transformer = build_cfm(Model(arch=recipe.arch), vocab).transformer
    return add_prefix("transformer.", average_weights(transformer, select_prefix(_AVERAGE, state)))

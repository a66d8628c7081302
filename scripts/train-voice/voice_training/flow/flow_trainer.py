"""Trains a small F5: flow matching on mels of which a part is hidden (F5-TTS, section 3; upstream's `CFM.forward`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import HOP, RATE_HZ, ModelConfig
from ishowtts.engines.f5.upstream_model import build_cfm
from voice_training.flow.utterances import Batch, UtteranceSampler
from voice_training.recipe import FlowRecipe
from voice_training.trainer.optimizer import ClippedAdamW, MovingAverage, add_prefix, average_weights, select_prefix

_FRAMES_PER_S: Final = RATE_HZ / HOP
# Upstream's share of steps without a reference, and of steps without text and reference (section 3.2).
_NO_REFERENCE, _NO_CONDITION = 0.3, 0.2
_HIDDEN = (0.7, 1.0)
_BETAS, _MAX_NORM = (0.9, 0.98), 1.0
_STEP, _TRAINED, _AVERAGE = "step", "trained.", "average."


class FlowTrainer:
    """The transformer, its moving average and its optimizer.

    A step depends only on the seed, its number and the weights, so a resumed training sees the same samples.

    Args:
        vocab: index of each token.
        seed: the seed of weights, samples and noise.

    Attributes:
        step: number of steps done.
    """

    def __init__(
        self, recipe: FlowRecipe, utterances: UtteranceSampler, vocab: dict[str, int], device: torch.device, seed: int
    ) -> None:
        self._recipe, self._utterances, self._device, self._seed = recipe, utterances, device, seed
        # Samples of a batch differ in length. The engine needs no mask, because there each line is alone.
        masked = recipe.arch.model_copy(update={"attn_mask_enabled": True})
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # upstream warns that masks need memory
            torch.manual_seed(seed)
            self._cfm = build_cfm(ModelConfig(arch=masked), vocab)
        transformer = self._cfm.transformer
        if recipe.arch.text_embedding_average_upsampling:
            transformer.text_embed.average_upsample_text_by_mask = upsample_text
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
        self._figures: list[Tensor] = []

    def train_step(self) -> dict[str, float]:
        """Do one step.

        Returns:
            Once in `log_every` steps: the mean loss and gradient norm since the last time, the learning rate and the
            maximum sample length. Otherwise nothing, because reading a loss makes the GPU wait.
        """
        recipe = self._recipe
        rng = np.random.default_rng((self._seed, self.step))
        longest_s = recipe.longest_s_at(self.step)
        batch = self._utterances.batch(rng, round(longest_s * _FRAMES_PER_S), round(recipe.batch_s * _FRAMES_PER_S))
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**62)))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            loss = self._loss(batch, rng, generator)
        rate = recipe.learning_rate_at(self.step)
        norm = self._optimizer.step(loss, rate)
        self._average.update(self._cfm.transformer, self.step)
        self.step += 1
        self._figures.append(torch.stack((loss.detach(), norm)))
        if self.step % recipe.log_every:
            return {}
        mean_loss, mean_norm = torch.stack(self._figures).mean(0).tolist()
        self._figures.clear()
        return {"loss": mean_loss, "gradient": mean_norm, "rate": rate, "longest_s": longest_s}

    def _loss(self, batch: Batch, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        """The mean squared error of the flow in the hidden frames."""
        speech, device = batch.mels, self._device
        frame = torch.arange(speech.shape[1], device=device).unsqueeze(0)
        not_padding = frame < batch.lengths.unsqueeze(1)
        hidden = self._hidden(batch, frame, generator) & not_padding
        noise = torch.randn(speech.shape, generator=generator, device=device)
        time = torch.rand(len(speech), generator=generator, device=device) ** self._recipe.time_power
        at = time.view(-1, 1, 1)
        no_condition = rng.random() < _NO_CONDITION
        predicted = self._run(
            x=(1 - at) * noise + at * speech,
            cond=speech.masked_fill(hidden.unsqueeze(-1), 0.0),
            text=batch.tokens,
            time=time,
            mask=not_padding,
            drop_audio_cond=no_condition or rng.random() < _NO_REFERENCE,
            drop_text=no_condition,
        )
        error = F.mse_loss(predicted.float(), speech - noise, reduction="none").mean(-1)
        return (error * hidden).sum() / hidden.sum().clamp(min=1)

    def _hidden(self, batch: Batch, frame: Tensor, generator: torch.Generator) -> Tensor:
        """Which frames the model has to predict, bool [samples, frames]."""
        lengths, count = batch.lengths, len(batch.lengths)
        share, position, kind = torch.rand((3, count), generator=generator, device=self._device)
        width = (lengths * (_HIDDEN[0] + (_HIDDEN[1] - _HIDDEN[0]) * share)).long()
        first = ((lengths - width) * position).long()
        after_first_clip = (kind < self._recipe.prefix) & (batch.firsts < lengths)
        first = torch.where(after_first_clip, batch.firsts, first).unsqueeze(1)
        last = torch.where(after_first_clip, lengths, first.squeeze(1) + width).unsqueeze(1)
        return (frame >= first) & (frame < last)

    def state(self) -> dict[str, Tensor]:
        """What `resume` needs, on the CPU: five bytes a weight."""
        trained, average = self._optimizer.state(), self._average.state()
        return add_prefix(_TRAINED, trained) | add_prefix(_AVERAGE, average) | {_STEP: torch.tensor(self.step)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state. Raises ValueError if it belongs to another recipe."""
        if _STEP not in state:
            raise ValueError("The saved state is not one of a transformer; resume from another file")
        self._optimizer.resume(select_prefix(_TRAINED, state))
        self._average.resume(select_prefix(_AVERAGE, state))
        self.step = int(state[_STEP])


def export_weights(recipe: FlowRecipe, vocab: dict[str, int], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights of a trainer's state, named as in upstream's `CFM`.

    Raises:
        ValueError: the state belongs to another recipe.
    """
    transformer = build_cfm(ModelConfig(arch=recipe.arch), vocab).transformer
    return add_prefix("transformer.", average_weights(transformer, select_prefix(_AVERAGE, state)))


def upsample_text(rows: Tensor, is_token: Tensor, lengths: Tensor) -> Tensor:
    """Repeat each token's row evenly over its line, for a whole batch at once.

    Equals upstream's `TextEmbedding.average_upsample_text_by_mask`, whose loop reads every number from the GPU.

    Args:
        rows: [lines, frames, text_dim]; the rows of the tokens come first.
        is_token: bool [lines, frames], true if the row belongs to a token.
        lengths: int64 [lines], number of frames to fill.

    Returns:
        [lines, frames, text_dim], zero after the end of a line.
    """
    counts = is_token.sum(1, keepdim=True).clamp(min=1)
    each, more = lengths.unsqueeze(1) // counts, lengths.unsqueeze(1) % counts
    frame = torch.arange(rows.shape[1], device=rows.device).unsqueeze(0)
    # The last `more` tokens are repeated once more than the others.
    plain = (counts - more) * each
    late = counts - more + (frame - plain).clamp(min=0) // (each + 1)
    token = torch.where(frame < plain, frame // each.clamp(min=1), late).clamp(max=rows.shape[1] - 1)
    upsampled = torch.gather(rows, 1, token.unsqueeze(-1).expand(-1, -1, rows.shape[2]))
    filled = (frame < lengths.unsqueeze(1)) & is_token.any(1, keepdim=True)
    return upsampled * filled.unsqueeze(-1)

"""Trains a small Vocos: first by reconstruction losses only, then with discriminators (Siuzdak 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import HOP
from ishowtts.engines.f5.upstream_model import build_vocos
from voice_training.recipe import VocoderRecipe
from voice_training.trainer.optimizer import ClippedAdamW, MovingAverage, add_prefix, average_weights, select_prefix
from voice_training.vocoder.crops import Crops
from voice_training.vocoder.discriminators import Discriminators
from voice_training.vocoder.spectral_losses import LogMel, MultiResolutionStftLoss

_STEP, _VOCODER, _AVERAGE, _DISCRIMINATORS = "step", "vocoder.", "average.", "adversary."
_BLUR_SIZE = 3


class VocoderTrainer:
    """The vocoder, its moving average, the discriminators and their optimizers.

    Args:
        waves: each fp32 [samples] at 24 kHz.
        seed: the seed of initial weights, crops and noise.

    Attributes:
        step: number of steps done.
    """

    def __init__(
        self, recipe: VocoderRecipe, waves: Sequence[NDArray[np.float32]], device: torch.device, seed: int
    ) -> None:
        self.step = 0
        self._recipe, self._device, self._seed = recipe, device, seed
        self._crops = Crops(
            waves,
            samples=recipe.crop_frames * HOP,
            batch=recipe.batch,
            gain_db=recipe.gain_db,
            device=device,
            seed=seed,
        )
        self._description = recipe.description()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._vocos = build_vocos(self._description).to(device)
            self._discriminators = Discriminators(recipe.adversaries, recipe.loss.resolutions).to(device)
        compiled = recipe.compiled and device.type == "cuda"
        self._backbone = torch.compile(self._vocos.backbone) if compiled else self._vocos.backbone
        self._log_mel = LogMel().to(device)
        self._spectral = MultiResolutionStftLoss(recipe.stft_windows).to(device)
        self._average = MovingAverage(self._vocos, recipe.ema_decay)
        self._averaged: Any = self._average.module
        self._vocoder_optimizer = self._optimizer(self._vocos)
        self._discriminator_optimizer = self._optimizer(self._discriminators)
        self._losses: dict[str, list[Tensor]] = {}

    def train_step(self) -> dict[str, float]:
        """Do one step.

        Returns:
            Once in `log_every` steps: the mean losses since the last time, by name. Without discriminators they are
            `mel` and `stft`; with them `adversarial`, `matching` and `discriminators` are added. Otherwise nothing,
            because reading a loss makes the GPU wait.
        """
        recipe = self._recipe
        real = self._crops.at(self.step)
        with torch.no_grad():
            mel = self._log_mel(real)
            vocoder_input = self._vocoder_input(mel)
        with self._autocast():
            hidden = self._backbone(vocoder_input)
        generated = self._vocos.head(hidden.float())
        terms = {"mel": (recipe.loss.mel, F.l1_loss(self._log_mel(generated), mel))}
        adversarial_phase = self.step >= recipe.pretrain_steps
        stft_weight = recipe.loss.stft_beside_adversary if adversarial_phase else recipe.loss.stft
        if stft_weight:
            terms["stft"] = (stft_weight, self._spectral(generated, real))
        if adversarial_phase:
            self._train_discriminators(real, generated.detach())
            terms |= self._adversarial_terms(real, generated)
        total = torch.stack([weight * loss for weight, loss in terms.values()]).sum()
        self._vocoder_optimizer.step(total, recipe.learning_rate_at(self.step))
        self._average.update(self._vocos, self.step)
        for name, (_, loss) in terms.items():
            self._log_loss(name, loss)
        self.step += 1
        return self._mean_losses() if self.step % recipe.log_every == 0 else {}

    def state(self) -> dict[str, Tensor]:
        """What `resume` needs, on the CPU: five bytes a weight of the vocoder, three a weight of the discriminators."""
        state = add_prefix(_VOCODER, self._vocoder_optimizer.state()) | add_prefix(_AVERAGE, self._average.state())
        if self.step > self._recipe.pretrain_steps:
            state |= add_prefix(_DISCRIMINATORS, self._discriminator_optimizer.state())
        return state | {_STEP: torch.tensor(self.step)}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state. Raises ValueError if it belongs to another recipe."""
        if _STEP not in state:
            raise ValueError("The saved state is not one of a vocoder; resume from another file")
        self._vocoder_optimizer.resume(select_prefix(_VOCODER, state))
        self._average.resume(select_prefix(_AVERAGE, state))
        discriminators = select_prefix(_DISCRIMINATORS, state)
        if discriminators:
            self._discriminator_optimizer.resume(discriminators)
        self.step = int(state[_STEP])
        self._losses.clear()

    def sample(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert 513 samples or more to a mel and back, with the averaged weights: [samples // 256 * 256]."""
        with torch.inference_mode():
            mel = self._log_mel(torch.from_numpy(wave).to(self._device).unsqueeze(0))
            sound: NDArray[np.float32] = self._averaged.decode(mel).squeeze(0).cpu().numpy()
        return sound

    def _vocoder_input(self, mel: Tensor) -> Tensor:
        """The mel with noise and blur, because F5's mels are less sharp than real ones."""
        noise, blur = self._recipe.mel_noise, self._recipe.mel_blur
        generator = torch.Generator(mel.device).manual_seed(_step_seed(self._seed, self.step))
        if blur:
            share = blur * torch.rand(len(mel), 1, 1, generator=generator, device=mel.device)
            blurred = F.avg_pool2d(mel.unsqueeze(1), _BLUR_SIZE, 1, _BLUR_SIZE // 2, count_include_pad=False).squeeze(1)
            mel = torch.lerp(mel, blurred, share)
        if noise:
            mel = mel + noise * torch.randn(mel.shape, generator=generator, device=mel.device)
        return mel

    def _train_discriminators(self, real: Tensor, generated: Tensor) -> None:
        with self._autocast():
            loss = self._discriminators.discriminator_loss(self._discriminators(real), self._discriminators(generated))
        self._discriminator_optimizer.step(loss, self._recipe.learning_rate_at(self.step, self._recipe.pretrain_steps))
        self._log_loss("discriminators", loss)

    def _adversarial_terms(self, real: Tensor, generated: Tensor) -> dict[str, tuple[float, Tensor]]:
        self._discriminators.requires_grad_(False)
        with self._autocast():
            theirs, ours = self._discriminators(real), self._discriminators(generated)
            adversarial = self._discriminators.adversarial_loss(ours)
            matching = self._discriminators.feature_matching_loss(theirs, ours)
        self._discriminators.requires_grad_(True)
        return {
            "adversarial": (self._recipe.loss.adversarial, adversarial),
            "matching": (self._recipe.loss.matching, matching),
        }

    def _log_loss(self, name: str, loss: Tensor) -> None:
        self._losses.setdefault(name, []).append(loss.detach())

    def _mean_losses(self) -> dict[str, float]:
        means = {name: float(torch.stack(values).mean()) for name, values in self._losses.items()}
        self._losses.clear()
        return means

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")

    def _optimizer(self, module: nn.Module) -> ClippedAdamW:
        recipe = self._recipe
        return ClippedAdamW(module, weight_decay=recipe.weight_decay, betas=recipe.betas, max_norm=recipe.clip_norm)


def export_weights(recipe: VocoderRecipe, state: Mapping[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]]:
    """The content of `vocos/config.yaml`, and the averaged weights of a trainer's state with upstream's names.

    Raises:
        ValueError: the state belongs to another recipe.
    """
    description = recipe.description()
    return description.model_dump(), average_weights(build_vocos(description), select_prefix(_AVERAGE, state))


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])

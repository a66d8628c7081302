"""Random crops of speech. All speech is on the device, so that no data loader slows the GPU down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FULL_SCALE = 32767.0
_MAX_PEAK = 0.99


class Crops:
    """Draws batches of crops that depend only on seed and step, so a resumed training sees the same ones.

    Args:
        waves: each fp32 [samples] at 24 kHz; kept as int16 (20 hours are 3.5 GB).
        samples: length of a crop. A shorter wave is followed by silence.
        gain_db: the lowest and the highest random gain.

    Raises:
        ValueError: there are no waves.
    """

    def __init__(
        self,
        waves: Sequence[NDArray[np.float32]],
        *,
        samples: int,
        batch: int,
        gain_db: tuple[float, float],
        device: torch.device,
        seed: int,
    ) -> None:
        if not waves:
            raise ValueError("the corpus is empty; make speech with `train-voice speech`")
        self._batch, self._gain_db, self._seed = batch, gain_db, seed
        padded = [_int16(wave, samples) for wave in waves]
        lengths = np.array([len(wave) for wave in padded])
        begins = np.cumsum(lengths) - lengths
        # Every possible start of a crop has the same chance, so long waves are drawn more often.
        self._starts = np.cumsum(lengths - samples + 1)
        self._offsets = begins - (self._starts - (lengths - samples + 1))
        self._sound = torch.from_numpy(np.concatenate(padded)).to(device)
        self._range = torch.arange(samples, device=device)

    def at(self, step: int) -> Tensor:
        """The crops of a step, fp32 [batch, samples]."""
        rng = np.random.default_rng((self._seed, step))
        starts = rng.integers(self._starts[-1], size=self._batch)
        begins = starts + self._offsets[np.searchsorted(self._starts, starts, side="right")]
        gains = 10 ** (rng.uniform(*self._gain_db, size=(self._batch, 1)) / 20)
        device = self._sound.device
        crops = self._sound[torch.from_numpy(begins).to(device).unsqueeze(1) + self._range].float() / _FULL_SCALE
        crops = crops * torch.from_numpy(gains).to(device, torch.float32)
        return crops * (_MAX_PEAK / crops.abs().amax(1, keepdim=True).clamp(min=_MAX_PEAK))


def _int16(wave: NDArray[np.float32], samples: int) -> NDArray[np.int16]:
    rounded = np.clip(np.rint(wave * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE).astype(np.int16)
    return np.pad(rounded, (0, max(0, samples - len(rounded))))

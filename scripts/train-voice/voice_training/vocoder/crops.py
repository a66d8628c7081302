"""Crops of speech, all of it on the device, so that no loader starves the GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FULL = 32767.0
_CEILING = 0.99


class Crops:
    """Batches that are a pure function of seed and step: a training that was interrupted sees what it would have seen.

    Args:
        waves: fp32 [samples] at 24 kHz, each; kept as int16 (20 hours are 3.5 GB).
        samples: length of a crop; a shorter wave is followed by silence.
        gain_db: the least and the highest random gain.
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
            raise ValueError("There is no speech to learn from: the corpus is empty; make it first")
        self._batch, self._gain_db, self._seed = batch, gain_db, seed
        whole = [_int16(wave, samples) for wave in waves]
        lengths = np.array([len(wave) for wave in whole])
        begins = np.cumsum(lengths) - lengths
        # Every place at which a crop may begin counts once, so that long waves are heard more often.
        self._places = np.cumsum(lengths - samples + 1)
        self._begins = begins - (self._places - (lengths - samples + 1))
        self._sound = torch.from_numpy(np.concatenate(whole)).to(device)
        self._reach = torch.arange(samples, device=device)

    def at(self, step: int) -> Tensor:
        """The crops of a step, fp32 [batch, samples]."""
        rng = np.random.default_rng((self._seed, step))
        places = rng.integers(self._places[-1], size=self._batch)
        begins = places + self._begins[np.searchsorted(self._places, places, side="right")]
        gains = 10 ** (rng.uniform(*self._gain_db, size=(self._batch, 1)) / 20)
        device = self._sound.device
        crops = self._sound[torch.from_numpy(begins).to(device).unsqueeze(1) + self._reach].float() / _FULL
        crops = crops * torch.from_numpy(gains).to(device, torch.float32)
        return crops * (_CEILING / crops.abs().amax(1, keepdim=True).clamp(min=_CEILING))


def _int16(wave: NDArray[np.float32], samples: int) -> NDArray[np.int16]:
    whole = np.clip(np.rint(wave * _FULL), -_FULL, _FULL).astype(np.int16)
    return np.pad(whole, (0, max(0, samples - len(whole))))

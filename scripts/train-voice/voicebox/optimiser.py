"""AdamW on one module, with an exponential moving average of its weights, and both in a small file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn



class Optimiser:
    """Steps of AdamW (Loshchilov & Hutter 2019) and the average of the weights over them.

    Args:
        decay: of weights with two dimensions or more; biases and gains are left alone.
        ema_decay: of the average; it is shorter in the first steps, which would be in it for ever otherwise.
        most_norm: gradients above it are scaled down to it.
    """

    def __init__(
        self, module: nn.Module, *, decay: float, betas: tuple[float, float], ema_decay: float, most_norm: float
    ) -> None:
        self._named = dict(module.named_parameters())
        self._parameters = list(self._named.values())
        self._average = [parameter.detach().clone() for parameter in self._parameters]
        self._ema_decay, self._most_norm, self._step = ema_decay, most_norm, 0
        groups = [
            {"params": [p for p in self._parameters if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in self._parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        fused = self._parameters[0].is_cuda
        self._adam = torch.optim.AdamW(groups, betas=betas, fused=fused, foreach=not fused)

    def advance(self, loss: Tensor, rate: float) -> Tensor:
        """One step down `loss`. Returns the norm of its gradient, before it was scaled."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._parameters, self._most_norm)
        self._adam.step()
        self._step += 1
        decay = min(self._ema_decay, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._parameters, 1 - decay)
        return norm

    def averaged(self) -> dict[str, Tensor]:
        """The average, by the parameters' names."""
        return dict(zip(self._named, self._average, strict=True))

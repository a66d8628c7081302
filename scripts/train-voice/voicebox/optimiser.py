"""AdamW on one module, with a moving average of its weights, and both in a small state."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from voicebox import compact

_TRAINED, _AVERAGE = "trained.", "average."


class Optimiser:
    """Steps of AdamW (Loshchilov & Hutter 2019), and the average of the weights over them.

    Args:
        ema_decay: of the average; `None` keeps none.
        most_norm: gradients above it are scaled down to it.

    Attributes:
        average: a copy of the module with the averaged weights.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        weight_decay: float,
        betas: tuple[float, float],
        most_norm: float,
        ema_decay: float | None,
    ) -> None:
        self._module, self._ema_decay, self._most_norm = module, ema_decay, most_norm
        self.average = copy.deepcopy(module).eval().requires_grad_(False) if ema_decay is not None else None
        cuda = next(module.parameters()).is_cuda
        self._adam = torch.optim.AdamW(module.parameters(), betas=betas, weight_decay=weight_decay, fused=cuda)

    def advance(self, loss: Tensor, rate: float, step: int) -> Tensor:
        """Go one step of this size down `loss`. Returns the norm of its gradient before it was scaled.

        Args:
            step: number of this step; the average is shorter in the first ones, which it would hold for long.
        """
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._most_norm)
        self._adam.step()
        if self.average is not None and self._ema_decay is not None:
            decay = min(self._ema_decay, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.parameters()), list(self._module.parameters()), 1 - decay)
        return norm

    def state(self) -> dict[str, Tensor]:
        """What resuming needs, on the CPU: five bytes a weight, three without an average."""
        parts = {_TRAINED: compact.pack_training(self._module, self._adam)}
        if self.average is not None:
            parts[_AVERAGE] = compact.pack_weights(self.average)
        return {prefix + name: tensor for prefix, tensors in parts.items() for name, tensor in tensors.items()}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where the module is another one."""
        compact.unpack_training(within(state, _TRAINED), self._module, self._adam)
        if self.average is not None:
            compact.unpack_weights(within(state, _AVERAGE), self.average)


def within(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The part of a state under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}

"""AdamW on one module, and the moving average of a module's weights; each with a small state."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voice_training.trainer import state_compression


class ClippedAdamW:
    """Steps of AdamW (Loshchilov & Hutter 2019).

    Args:
        max_norm: gradients above it are scaled down to it.
    """

    def __init__(self, module: nn.Module, *, weight_decay: float, betas: tuple[float, float], max_norm: float) -> None:
        self._module, self._max_norm = module, max_norm
        fused = next(module.parameters()).is_cuda
        self._adam = torch.optim.AdamW(module.parameters(), betas=betas, weight_decay=weight_decay, fused=fused)

    def step(self, loss: Tensor, learning_rate: float) -> Tensor:
        """Go one step of this size down `loss`. Returns the norm of its gradient before it was scaled."""
        for group in self._adam.param_groups:
            group["lr"] = learning_rate
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._max_norm)
        self._adam.step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """Weights and moments, on the CPU: three bytes a weight."""
        return state_compression.compress_training(self._module, self._adam)

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where the module is another one."""
        state_compression.decompress_training(state, self._module, self._adam)


class MovingAverage:
    """A copy of a module whose weights follow it slowly.

    Attributes:
        module: the copy.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move a little towards the module; more in the first steps, whose weights it would hold for long."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """On the CPU: two bytes a weight."""
        return state_compression.compress_weights(self.module)

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where the module is another one."""
        state_compression.decompress_weights(state, self.module)


def add_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A part of a larger state."""
    return {prefix + name: tensor for name, tensor in state.items()}


def select_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """That part again."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@torch.no_grad()
def average_weights(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What an average's state makes of the module: weights in fp16, windows and the like, which are none, in fp32.

    Raises:
        ValueError: the module is another one.
    """
    state_compression.decompress_weights(state, module)
    weights = {name for name, _ in module.named_parameters()}
    return {
        name: value.to(torch.float16 if name in weights else torch.float32)
        for name, value in module.state_dict().items()
    }

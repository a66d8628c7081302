"""AdamW for one module, and the moving average of a module's weights. Both have a small state."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voice_training.trainer import state_compression


class ClippedAdamW:
    """AdamW (Loshchilov & Hutter 2019) with clipped gradients.

    Args:
        max_norm: gradients with a larger norm are scaled down to it.
    """

    def __init__(self, module: nn.Module, *, weight_decay: float, betas: tuple[float, float], max_norm: float) -> None:
        self._module, self._max_norm = module, max_norm
        fused = next(module.parameters()).is_cuda
        self._adam = torch.optim.AdamW(module.parameters(), betas=betas, weight_decay=weight_decay, fused=fused)

    def step(self, loss: Tensor, learning_rate: float) -> Tensor:
        """Do one step that lowers `loss`. Returns the norm of the gradient before clipping."""
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
        """Continue from a state. Raises ValueError if it belongs to another module."""
        state_compression.decompress_training(state, self._module, self._adam)


class MovingAverage:
    """A copy of a module whose weights follow the module slowly (exponential moving average).

    Attributes:
        module: the copy.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move a little towards the module. The first steps move more, so that initial weights do not stay long."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights, on the CPU: two bytes a weight."""
        return state_compression.compress_weights(self.module)

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state. Raises ValueError if it belongs to another module."""
        state_compression.decompress_weights(state, self.module)


def add_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state, to make it a part of a larger one."""
    return {prefix + name: tensor for name, tensor in state.items()}


def select_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `add_prefix`: the part of a larger state that has this prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@torch.no_grad()
def average_weights(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Load the state of a `MovingAverage` into the module and return its tensors for export.

    Returns:
        Weights in fp16. Buffers, such as windows, in fp32.

    Raises:
        ValueError: the state belongs to another module.
    """
    state_compression.decompress_weights(state, module)
    weights = {name for name, _ in module.named_parameters()}
    return {
        name: value.to(torch.float16 if name in weights else torch.float32)
        for name, value in module.state_dict().items()
    }

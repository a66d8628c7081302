"""AdamW on one module, and the moving average of a module's weights; each with a small state."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voicebox.learning import compact


class Optimiser:
    """Steps of AdamW (Loshchilov & Hutter 2019).

    Args:
        most_norm: gradients above it are scaled down to it.
    """

    def __init__(self, module: nn.Module, *, weight_decay: float, betas: tuple[float, float], most_norm: float) -> None:
        self._module, self._most_norm = module, most_norm
        fused = next(module.parameters()).is_cuda
        self._adam = torch.optim.AdamW(module.parameters(), betas=betas, weight_decay=weight_decay, fused=fused)

    def advance(self, loss: Tensor, rate: float) -> Tensor:
        """Go one step of this size down `loss`. Returns the norm of its gradient before it was scaled."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._module.parameters(), self._most_norm)
        self._adam.step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """Weights and moments, on the CPU: three bytes a weight."""
        return compact.pack_training(self._module, self._adam)

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where the module is another one."""
        compact.unpack_training(state, self._module, self._adam)


class Average:
    """A copy of a module whose weights follow it slowly.

    Attributes:
        module: the copy.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, module: nn.Module, step: int) -> None:
        """Move a little towards the module; more in the first steps, whose weights it would hold for long."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """On the CPU: two bytes a weight."""
        return compact.pack_weights(self.module)

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken. Raises ValueError where the module is another one."""
        compact.unpack_weights(state, self.module)


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A part of a larger state."""
    return {prefix + name: tensor for name, tensor in state.items()}


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """That part again."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@torch.no_grad()
def averaged(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What an average's state makes of the module: weights in fp16, windows and the like, which are none, in fp32.

    Raises:
        ValueError: the module is another one.
    """
    compact.unpack_weights(state, module)
    weights = {name for name, _ in module.named_parameters()}
    return {
        name: value.to(torch.float16 if name in weights else torch.float32)
        for name, value in module.state_dict().items()
    }

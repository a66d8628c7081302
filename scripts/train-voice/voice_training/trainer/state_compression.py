"""Compresses the state of a training: weights in fp16, Adam's second moments in eight bits, no first moments.

First moments are an average over few steps, so they recover after as many steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BLOCK = 128
_STEPS_PER_OCTAVE = 8
_TOP = 255


def compress_training(module: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """Weights and moments of a module by name, on the CPU. The optimizer must hold all parameters of the module."""
    compressed = compress_weights(module)
    for name, parameter in module.named_parameters():
        moments = optimizer.state.get(parameter)
        if moments:
            compressed["updates"] = moments["step"].cpu().long()
            compressed[f"codes.{name}"], compressed[f"scales.{name}"] = quantize_moment(moments["exp_avg_sq"])
    return compressed


def decompress_training(compressed: Mapping[str, Tensor], module: nn.Module, optimizer: torch.optim.AdamW) -> None:
    """Restore what `compress_training` returned. Raises ValueError if it belongs to another module."""
    decompress_weights(compressed, module)
    content = optimizer.state_dict()
    content["state"] = {}
    if "updates" in compressed:
        for index, (name, parameter) in enumerate(module.named_parameters()):
            codes, scales = _of(compressed, f"codes.{name}"), _of(compressed, f"scales.{name}")
            content["state"][index] = {
                "step": compressed["updates"].float(),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": dequantize_moment(codes, scales, parameter.shape),
            }
    optimizer.load_state_dict(content)


def compress_weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters by name, on the CPU: matrices and kernels in fp16, vectors and scalars in fp32."""
    return {
        f"weights.{name}": weight.detach().to("cpu", torch.float16 if weight.ndim > 1 else torch.float32, copy=True)
        for name, weight in module.named_parameters()
    }


@torch.no_grad()
def decompress_weights(compressed: Mapping[str, Tensor], module: nn.Module) -> None:
    """Restore what `compress_weights` returned. Raises ValueError if it belongs to another module."""
    for name, parameter in module.named_parameters():
        weight = _of(compressed, f"weights.{name}")
        if weight.shape != parameter.shape:
            raise ValueError(
                f"The saved state holds {name} with the shape {list(weight.shape)}, but the recipe asks for "
                f"{list(parameter.shape)}; resume with the recipe that it was made with"
            )
        parameter.copy_(weight)


def quantize_moment(moment: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize second moments (not negative, any shape) to codes and scales.

    A code counts eighths of an octave below the largest value of its block of 128. So values keep within 5 % over 31
    octaves, and their square roots, by which Adam divides, within 2.5 %. Smaller values become zero.

    Returns:
        Codes, uint8 [numbers], and scales, fp32 [numbers / 128, rounded up]; on the CPU.
    """
    flat = moment.detach().float().flatten().cpu()
    blocks = _blocks(flat)
    scales = blocks.amax(1)
    below = (scales.log2().unsqueeze(1) - blocks.log2()) * _STEPS_PER_OCTAVE
    codes = torch.where(blocks > 0, (_TOP - below.round()).clamp(min=0), 0.0)
    return codes.to(torch.uint8).flatten()[: len(flat)].clone(), scales


def dequantize_moment(codes: Tensor, scales: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `quantize_moment`, fp32 of that shape. Raises ValueError if the sizes do not fit."""
    if len(codes) != shape.numel() or len(scales) != -(-len(codes) // _BLOCK):
        raise ValueError(
            f"The saved state holds {len(codes)} moments in {len(scales)} blocks for a tensor of the shape "
            f"{list(shape)}; resume with the recipe that it was made with"
        )
    blocks = _blocks(codes.float())
    values = scales.unsqueeze(1) * torch.exp2((blocks - _TOP) / _STEPS_PER_OCTAVE)
    return torch.where(blocks > 0, values, 0.0).flatten()[: len(codes)].view(shape)


def _blocks(flat: Tensor) -> Tensor:
    return F.pad(flat, (0, -len(flat) % _BLOCK)).view(-1, _BLOCK)


def _of(compressed: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in compressed:
        raise ValueError(f"The saved state lacks {name}; resume with the recipe that it was made with")
    return compressed[name]

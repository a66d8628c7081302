"""A transformer with random weights, without a checkpoint on the disk: for tests of kernels in the whole model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ishowtts.engines.f5 import dit
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts.engines.f5.assembly import assemble_dit
from ishowtts.engines.f5.dit import Modulation
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts.engines.f5.shapes import dit_shapes

_CPU = torch.device("cpu")

TINY = DitConfig(dim=128, depth=2, heads=2, ff_mult=2, text_dim=64, conv_layers=1)


def random_tensors(description: DitConfig) -> dict[str, Tensor]:
    """Tensors of the transformer, by upstream's names without `transformer.`. Products keep the size of their input."""
    generator = torch.Generator().manual_seed(0)
    return {
        name.removeprefix("transformer."): torch.randn(shape, generator=generator) / math.prod(shape[1:]) ** 0.5
        for name, shape in dit_shapes(description, 10).items()
    }


def flow(
    kernels: KernelChoice,
    dtype: torch.dtype,
    *,
    description: DitConfig = TINY,
    merge_qkv: bool = True,
    device: torch.device = _CPU,
) -> Tensor:
    """The flow of two segments, one of them padded, with these kernels: [4, 8, 100] on the CPU."""
    tensors = random_tensors(description)
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    with torch.inference_mode():
        model = assemble_dit(tensors, description, device, dtype, kernels, merge_qkv=merge_qkv)
        voices = [draw(4, 100), draw(3, 100)]
        texts = [(draw(4, description.text_dim), draw(4, description.text_dim)) for _ in voices]
        condition = dit.condition(model, voices, texts, [8, 5], 8)
        blocks, final = draw(description.depth, 6, description.dim) / 2, draw(2, description.dim) / 2
        y = draw(2, 8, 100)
        y[1, 5:] = 0.0
        return dit.velocity(model, y, condition, Modulation(blocks.to(dtype), final.to(dtype))).cpu()

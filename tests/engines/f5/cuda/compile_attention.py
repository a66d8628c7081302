"""Compiles the attention kernel for GPUs that this machine lacks. `compile_ahead` runs it in its own process."""

from __future__ import annotations

import re
from typing import Any

import torch

from ishowtts.engines.f5.cuda import fused_attention
from ishowtts.engines.f5.cuda.tiles import ATTENTION_TILES
from ishowtts.engines.f5.lengths import Lengths

HEADS = 16
BATCHES = [((1, 1), 1), ((416, 380), 416), ((37, 12, 5, 4), 37)]
"""The numbers of real frames of items, and what they are padded to."""


def launch_all() -> None:
    """Launch every tile on padded and unpadded batches, on views of a buffer of qkv as the model has them."""
    for frames, padded in BATCHES:
        lengths = Lengths.of(frames, padded, torch.device("cpu"))
        qkv = torch.zeros(len(frames), padded, 3, HEADS, 64, dtype=torch.float16)
        for tile in ATTENTION_TILES:
            for known in (lengths, None):
                fused_attention.attend(*qkv.permute(2, 0, 3, 1, 4).unbind(), known, tile)


def compiled(architecture: int) -> list[dict[str, Any]]:
    """The kernels that were compiled for it so far."""
    kernel_of = fused_attention._flash_attention
    at = [kernel_of.arg_names.index(name) for name in ("tile_queries", "tile_keys")]
    return [
        {
            "architecture": architecture,
            "tile": "x".join(str(kernel.src.constants[(i,)]) for i in at),
            "registers": kernel.n_regs,
            "spilled_bytes": kernel.n_spills,
            "shared_bytes": kernel.metadata.shared,
            "wide_loads": len(re.findall(r"ld\.global\S*\.v4\.b32|cp\.async\.cg[^;]*, 0x10", kernel.asm["ptx"])),
            "tensor_cores": bool(re.search(r"\b(mma\.sync|wgmma\.mma_async|tcgen05\.mma)", kernel.asm["ptx"])),
        }
        for kernel in kernel_of.device_caches[architecture][0].values()
    ]

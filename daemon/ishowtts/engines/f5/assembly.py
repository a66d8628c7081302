"""Lays out the checkpoint's tensors as the parts of the fast model, for the kernels that were chosen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.architecture import DitConfig as Description
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.dit import Block, Dit
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, ConcatLinear, Conv, KernelChoice, Linear
from ishowtts.engines.f5.text_encoder import TextBlock, TextEncoder


def assemble_dit(
    tensors: Mapping[str, Tensor],
    description: Description,
    device: torch.device,
    dtype: torch.dtype,
    kernels: KernelChoice,
    *,
    merge_qkv: bool,
) -> Dit:
    """Build the transformer.

    Args:
        tensors: the transformer's tensors, by upstream's names without `transformer.`.
        merge_qkv: whether queries, keys and values are one product.
    """
    make = LINEARS[kernels.linear]

    def pair(*names: str) -> tuple[Tensor, Tensor]:
        """The concatenated weights and biases of these linears. A single one stays mapped where it is."""
        parts = [[tensors[f"{name}.{part}"] for name in names] for part in ("weight", "bias")]
        weight, bias = (torch.cat(part) if len(part) > 1 else part[0] for part in parts)
        return weight.to(device, dtype), bias.to(device, dtype)

    def conv(name: str) -> tuple[Conv, Tensor]:
        weight, bias = pair(name)
        return CONVS[kernels.conv](weight), bias

    def block(i: int) -> Block:
        name = f"transformer_blocks.{i}"
        parts = [f"{name}.attn.{part}" for part in ("to_q", "to_k", "to_v")]
        qkv: Linear = make(*pair(*parts)) if merge_qkv else ConcatLinear([make(*pair(part)) for part in parts])
        return Block(
            qkv=qkv,
            out=make(*pair(f"{name}.attn.to_out.0")),
            up=make(*pair(f"{name}.ff.ff.0.0"), gelu=True),
            down=make(*pair(f"{name}.ff.ff.2")),
        )

    weight = tensors["input_embed.proj.weight"].to(device, torch.float32)
    from_mel, from_voice, from_text = weight[:, :MELS], weight[:, MELS : 2 * MELS], weight[:, 2 * MELS :]
    return Dit(
        from_mel=from_mel.to(dtype),
        from_voice=from_voice,
        from_text=from_text,
        bias=tensors["input_embed.proj.bias"].to(device, torch.float32),
        convs=(conv("input_embed.conv_pos_embed.conv1d.0"), conv("input_embed.conv_pos_embed.conv1d.2")),
        blocks=tuple(block(i) for i in range(description.depth)),
        to_mel=pair("proj_out"),
        attention=ATTENTIONS[kernels.attention],
        elementwise=ELEMENTWISE[kernels.elementwise](),
        heads=description.heads,
        rotated_heads=description.pe_attn_head,
        dtype=dtype,
    )


def assemble_text_encoder(tensors: Mapping[str, Tensor], description: Description, device: torch.device) -> TextEncoder:
    """Build the text encoder, in fp32."""

    def get(name: str) -> Tensor:
        return tensors[f"text_embed.{name}"].to(device, torch.float32)

    def pair(name: str) -> tuple[Tensor, Tensor]:
        return get(f"{name}.weight"), get(f"{name}.bias")

    def block(name: str) -> TextBlock:
        return TextBlock(
            conv=pair(f"{name}.dwconv"),
            norm=pair(f"{name}.norm"),
            up=pair(f"{name}.pwconv1"),
            down=pair(f"{name}.pwconv2"),
            gamma=get(f"{name}.grn.gamma").flatten(),
            beta=get(f"{name}.grn.beta").flatten(),
        )

    blocks = tuple(block(f"text_blocks.{i}") for i in range(description.conv_layers))
    return TextEncoder(
        get("text_embed.weight"),
        blocks,
        upsamples=description.text_embedding_average_upsampling,
        masks_filler=description.text_mask_padding,
    )

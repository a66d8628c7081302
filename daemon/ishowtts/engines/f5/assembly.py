"""Lays out the checkpoint's tensors as the parts of the fast model, for the kernels that were chosen."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.architecture import DitConfig as Description
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.block_kernels import make_qkv, make_residual, make_up, takes_quantised_rows
from ishowtts.engines.f5.block_steps import QkvStep, SeparateQkv
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights
from ishowtts.engines.f5.dit import Block, Dit
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, ConcatLinear, Conv, KernelChoice
from ishowtts.engines.f5.text_encoder import TextBlock, TextEncoder

_LOADED_BYTES = 16


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
    elementwise = ELEMENTWISE[kernels.elementwise]()
    heads, rotated_heads = description.heads, description.pe_attn_head

    def pair(*names: str) -> tuple[Tensor, Tensor]:
        """The concatenated weights and biases of these linears. A single one stays mapped where it is."""
        parts = [[tensors[f"{name}.{part}"] for name in names] for part in ("weight", "bias")]
        weight, bias = (torch.cat(part) if len(part) > 1 else part[0] for part in parts)
        return weight.to(device, dtype), bias.to(device, dtype)

    def conv(name: str) -> tuple[Conv, Tensor]:
        weight, bias = pair(name)
        return CONVS[kernels.conv](weight), bias

    def qkv(name: str) -> QkvStep:
        parts = [f"{name}.{part}" for part in ("to_q", "to_k", "to_v")]
        if merge_qkv:
            return make_qkv(kernels.qkv, *pair(*parts), elementwise, heads=heads, rotated_heads=rotated_heads)
        linear = ConcatLinear([LINEARS[kernels.qkv](*pair(part)) for part in parts])
        return SeparateQkv(linear, elementwise, heads, rotated_heads)

    def block(i: int) -> Block:
        name = f"transformer_blocks.{i}"
        # After the last block is the projection to the mel, which takes no quantised rows.
        before_qkv = i + 1 < description.depth and takes_quantised_rows(kernels.qkv)
        before_up = takes_quantised_rows(kernels.up)
        return Block(
            qkv=qkv(f"{name}.attn"),
            out=make_residual(kernels.out, *pair(f"{name}.attn.to_out.0"), elementwise, quantise=before_up),
            up=make_up(kernels.up, *pair(f"{name}.ff.ff.0.0")),
            down=make_residual(kernels.down, *pair(f"{name}.ff.ff.2"), elementwise, quantise=before_qkv),
        )

    weight = tensors["input_embed.proj.weight"].to(device, torch.float32)
    from_mel, from_voice, from_text = weight[:, :MELS], weight[:, MELS : 2 * MELS], weight[:, 2 * MELS :]
    return Dit(
        from_mel=F.pad(from_mel.to(dtype), (0, mel_columns(device, dtype) - MELS)),
        from_voice=from_voice,
        from_text=from_text,
        bias=tensors["input_embed.proj.bias"].to(device, torch.float32),
        convs=(conv("input_embed.conv_pos_embed.conv1d.0"), conv("input_embed.conv_pos_embed.conv1d.2")),
        blocks=tuple(block(i) for i in range(description.depth)),
        to_mel=pair("proj_out"),
        attention=ATTENTIONS[kernels.attention],
        elementwise=elementwise,
        dtype=dtype,
    )


def mel_columns(device: torch.device, dtype: torch.dtype) -> int:
    """The number of columns of the noisy mel as an input of the transformer: 100, or more for a faster product.

    Rows of 100 in half precision are 200 bytes. A GPU loads 16 bytes at a time, if the rows are multiples of that.
    """
    if device.type != "cuda":
        return MELS
    loads = -(-MELS * dtype.itemsize // _LOADED_BYTES)
    return loads * _LOADED_BYTES // dtype.itemsize


def block_weights(
    tensors: Mapping[str, Tensor], description: Description, device: torch.device, dtype: torch.dtype
) -> BlockWeights:
    """The weights of the first block and of the first positional convolution, to choose the kernels with."""

    def pair(*names: str) -> tuple[Tensor, Tensor]:
        weight, bias = (
            torch.cat([tensors[f"transformer_blocks.0.{name}.{part}"] for name in names]) for part in ("weight", "bias")
        )
        return weight.to(device, dtype), bias.to(device, dtype)

    return BlockWeights(
        qkv=pair("attn.to_q", "attn.to_k", "attn.to_v"),
        out=pair("attn.to_out.0"),
        up=pair("ff.ff.0.0"),
        down=pair("ff.ff.2"),
        conv=tensors["input_embed.conv_pos_embed.conv1d.0.weight"].to(device, dtype),
        heads=description.heads,
        rotated_heads=description.pe_attn_head,
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

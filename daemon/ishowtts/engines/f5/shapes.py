"""The names and shapes of the tensors that a checkpoint must have, from its description.

A mismatch is reported before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from ishowtts.engines.f5.architecture import CONV_GROUPS, CONV_TAPS, MELS, DitConfig, VocoderConfig

Shapes = dict[str, tuple[int, ...]]

_TIME_FREQUENCIES = 256
_TEXT_KERNEL = _VOCODER_KERNEL = 7
_TEXT_MULT = 2


def dit_shapes(dit: DitConfig, tokens: int) -> Shapes:
    """The shapes of upstream's `CFM` with a `DiT` of this description and a vocabulary of `tokens`, by name."""
    dim, inner = dit.dim, dit.heads * dit.dim_head
    shapes = dict(_linear("time_embed.time_mlp.0", _TIME_FREQUENCIES, dim))
    shapes |= _linear("time_embed.time_mlp.2", dim, dim)
    shapes["text_embed.text_embed.weight"] = (tokens + 1, dit.text_dim)
    for i in range(dit.conv_layers):
        shapes |= _text_block(f"text_embed.text_blocks.{i}", dit.text_dim)
    shapes |= _linear("input_embed.proj", 2 * MELS + dit.text_dim, dim)
    for i in (0, 2):
        shapes[f"input_embed.conv_pos_embed.conv1d.{i}.weight"] = (dim, dim // CONV_GROUPS, CONV_TAPS)
        shapes[f"input_embed.conv_pos_embed.conv1d.{i}.bias"] = (dim,)
    shapes["rotary_embed.inv_freq"] = (dit.dim_head // 2,)
    for i in range(dit.depth):
        block = f"transformer_blocks.{i}"
        shapes |= _linear(f"{block}.attn_norm.linear", dim, 6 * dim)
        for name in ("to_q", "to_k", "to_v"):
            shapes |= _linear(f"{block}.attn.{name}", dim, inner)
        shapes |= _linear(f"{block}.attn.to_out.0", inner, dim)
        if dit.qk_norm is not None:
            shapes |= {f"{block}.attn.{name}.weight": (dit.dim_head,) for name in ("q_norm", "k_norm")}
        shapes |= _linear(f"{block}.ff.ff.0.0", dim, dit.ff_mult * dim)
        shapes |= _linear(f"{block}.ff.ff.2", dit.ff_mult * dim, dim)
    if dit.long_skip_connection:
        shapes["long_skip_connection.weight"] = (dim, 2 * dim)
    shapes |= _linear("norm_out.linear", dim, 2 * dim)
    shapes |= _linear("proj_out", dim, MELS)
    return {f"transformer.{name}": shape for name, shape in shapes.items()}


def vocoder_shapes(vocoder: VocoderConfig) -> Shapes:
    """The shapes of a `Vocos` of this description, by name."""
    backbone, head = vocoder.backbone.init_args, vocoder.head.init_args
    features = vocoder.feature_extractor.init_args
    dim, inner = backbone.dim, backbone.intermediate_dim
    shapes: Shapes = {
        "feature_extractor.mel_spec.spectrogram.window": (features.n_fft,),
        "feature_extractor.mel_spec.mel_scale.fb": (features.n_fft // 2 + 1, features.n_mels),
        "backbone.embed.weight": (dim, backbone.input_channels, _VOCODER_KERNEL),
        "backbone.embed.bias": (dim,),
        "head.istft.window": (head.n_fft,),
    }
    for name in ("norm", "final_layer_norm"):
        shapes |= _norm(f"backbone.{name}", dim)
    for i in range(backbone.num_layers):
        block = f"backbone.convnext.{i}"
        shapes |= dict(_convnext(block, dim, inner, _VOCODER_KERNEL))
        shapes[f"{block}.gamma"] = (dim,)
    shapes |= _linear("head.out", head.dim, head.n_fft + 2)
    return shapes


def _text_block(name: str, dim: int) -> Shapes:
    inner = _TEXT_MULT * dim
    grn: Shapes = {f"{name}.grn.{part}": (1, 1, inner) for part in ("gamma", "beta")}
    return dict(_convnext(name, dim, inner, _TEXT_KERNEL)) | grn


def _convnext(name: str, dim: int, inner: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.dwconv.weight", (dim, 1, kernel)
    yield f"{name}.dwconv.bias", (dim,)
    yield from _norm(f"{name}.norm", dim).items()
    yield from _linear(f"{name}.pwconv1", dim, inner).items()
    yield from _linear(f"{name}.pwconv2", inner, dim).items()


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, dim: int) -> Shapes:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}

"""Makes random weights of the real architecture, for tests and for machines without trained weights. They hum."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Literal

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from ishowtts.engines.f5.architecture import BASE, DitConfig, ModelConfig, vocoder_of
from ishowtts.engines.f5.checkpoint import read_vocab
from ishowtts.engines.f5.upstream_model import build_cfm, build_vocos
from ishowtts.engines.voices.voice_library import f5_tts_data

Size = Literal["tiny", "small", "base"]
SIZES: tuple[Size, ...] = ("tiny", "small", "base")

_DITS: dict[Size, DitConfig] = {
    "tiny": DitConfig(dim=128, depth=3, heads=2, ff_mult=2, text_dim=64, conv_layers=4),
    "small": DitConfig(dim=384, depth=6, heads=6, ff_mult=2, text_dim=192, conv_layers=4),
    "base": BASE.arch,
}
_VOCODERS: dict[Size, tuple[int, int]] = {"tiny": (64, 2), "small": (192, 4), "base": (512, 8)}  # dim, layers

_QUERY_KEY_GAIN = 4.0


def make_checkpoint(path: Path, size: Size = "tiny", seed: int = 0, *, average_upsampling: bool = False) -> None:
    """Write a checkpoint folder with random weights. The same seed gives the same files.

    Args:
        path: The folder, which is created if it is missing.
        size: `tiny` takes a second; `base` is as large as F5TTS_v1_Base.
        seed: Seed of the weights.
        average_upsampling: Whether the text is spread evenly over the frames. The weights are the same.
    """
    arch = _DITS[size].model_copy(update={"text_embedding_average_upsampling": average_upsampling})
    model = ModelConfig(name=f"random-{size}", arch=arch)
    dim, layers = _VOCODERS[size]
    vocoder = vocoder_of(dim, 3 * dim, layers)
    (path / "vocos").mkdir(parents=True, exist_ok=True)
    copyfile(f5_tts_data("infer/examples/vocab.txt"), path / "vocab.txt")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        cfm = build_cfm(model, read_vocab(path / "vocab.txt"))
        vocos = build_vocos(vocoder)
        _redraw(cfm)
        _redraw(vocos)
        # Magnitudes and phases of about one make a hum that does not clip.
        nn.init.normal_(vocos.head.out.weight, std=vocos.head.out.in_features**-0.5)
    _save(cfm, path / "model.safetensors")
    _save(vocos, path / "vocos" / "model.safetensors")
    _write_yaml(path / "vocos" / "config.yaml", vocoder.model_dump())
    _write_yaml(path / "model.yaml", model.model_dump())  # the last file, so that its presence means a complete folder


def _redraw(module: nn.Module) -> None:
    """Initialise randomly what upstream initialises to zero.

    With zeros in AdaLN and the output projection, any two runs are equal, even if the engine is broken. With zeros in
    GRN, a leak through it is invisible. Untrained attention weighs all frames almost equally, and one token among
    hundreds has no effect. Larger queries and keys make the sound depend on the text.
    """
    for name, parameter in module.named_parameters():
        if "grn" in name:
            nn.init.normal_(parameter, std=0.5)
        elif name.endswith(("to_q.weight", "to_k.weight")):
            parameter.mul_(_QUERY_KEY_GAIN)
        elif not parameter.any():
            nn.init.normal_(parameter, std=0.03 if "proj_out" in name else 0.05)


def _save(module: nn.Module, path: Path) -> None:
    save_file(module.state_dict(), path)
    path.chmod(0o644)  # safetensors makes the file private, but the service runs as another user


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

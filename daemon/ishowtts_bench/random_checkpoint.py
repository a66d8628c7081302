"""Makes random weights of the real architecture, for tests and for machines without trained weights. They hum."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Literal

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn

from ishowtts.engines.f5.architecture import BASE, DitConfig, ModelConfig, vocoder_of
from ishowtts.engines.f5.upstream_model import build_cfm, build_vocos
from ishowtts.engines.f5.vocabulary import read_vocab
from ishowtts.engines.voices.voice_library import f5_tts_data

Size = Literal["tiny", "small", "base"]
SIZES: tuple[Size, ...] = ("tiny", "small", "base")
Shape = Literal["v1", "silma", "hindi"]
SHAPES: tuple[Shape, ...] = ("v1", "silma", "hindi")
"""Shapes of published checkpoints: F5TTS_v1_Base (`official`, `openf5`), SILMA TTS v1 and F5-Hindi-24KHz."""

_DITS: dict[Size, DitConfig] = {
    "tiny": DitConfig(dim=128, depth=3, heads=2, ff_mult=2, text_dim=64, conv_layers=4),
    "small": DitConfig(dim=384, depth=6, heads=6, ff_mult=2, text_dim=192, conv_layers=4),
    "base": BASE.arch,
}
_F5TTS_SMALL = {"dim": 768, "depth": 18, "heads": 12}  # the real size of the two small shapes
_FIRST_VERSION = {"text_mask_padding": False, "pe_attn_head": 1}
_VOCODERS: dict[Size, tuple[int, int]] = {"tiny": (64, 2), "small": (192, 4), "base": (512, 8)}  # dim, layers

_ASCII = [chr(code) for code in range(0x20, 0x7F)]
_ARABIC = [chr(code) for code in (0x060C, 0x061B, 0x061F, *range(0x0621, 0x063B), *range(0x0641, 0x0653))]
_DEVANAGARI = [chr(code) for code in (*range(0x0901, 0x093A), *range(0x093C, 0x094E), 0x0964, *range(0x0966, 0x0970))]
_PUNCTUATION = [character for character in _ASCII if not character.isalpha()]
_VOCABULARIES: dict[Shape, list[str]] = {"silma": _ASCII + _ARABIC, "hindi": _PUNCTUATION + _DEVANAGARI}

_QUERY_KEY_GAIN = 4.0
_UPDATES = 1_250_000


def describe(shape: Shape, size: Size = "tiny") -> ModelConfig:
    """The description of a checkpoint of this shape. With `base` it has the size of the published one."""
    arch = _DITS[size]
    if shape == "v1":
        return ModelConfig(name=f"random-{size}", arch=arch)
    if size == "base":
        arch = arch.model_copy(update=_F5TTS_SMALL)
    name = f"random-{shape}-{size}"
    if shape == "silma":
        return ModelConfig(name=name, tokenizer="char", arch=arch, languages=("ar", "en"), licence="Apache-2.0")
    return ModelConfig(name=name, arch=arch.model_copy(update=_FIRST_VERSION), languages=("hi",), licence="CC-BY-4.0")


def make_checkpoint(
    path: Path, size: Size = "tiny", seed: int = 0, *, shape: Shape = "v1", average_upsampling: bool = False
) -> None:
    """Write a checkpoint folder with random weights. The same seed gives the same files.

    Args:
        path: The folder, which is created if it is missing.
        size: `tiny` takes a second; `base` is as large as the published checkpoint of this shape.
        seed: Seed of the weights.
        shape: The published checkpoint whose structure, tokens and description it has.
        average_upsampling: Whether the text is spread evenly over the frames. The weights are the same.
    """
    model = describe(shape, size)
    if average_upsampling:
        arch = model.arch.model_copy(update={"text_embedding_average_upsampling": True})
        model = model.model_copy(update={"arch": arch})
    dim, layers = _VOCODERS[size]
    vocoder = vocoder_of(dim, 3 * dim, layers)
    (path / "vocos").mkdir(parents=True, exist_ok=True)
    if shape in _VOCABULARIES:
        (path / "vocab.txt").write_text("".join(f"{token}\n" for token in _VOCABULARIES[shape]), encoding="utf-8")
    else:
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
    # The last file, so that its presence means a complete folder.
    _write_yaml(path / "model.yaml", model.model_dump(mode="json", exclude_none=True))


def publish(folder: Path, out: Path, *, use_ema: bool = True) -> None:
    """Write the weights of a checkpoint folder as their makers publish them: `model.pt` and `model.safetensors`.

    Both have the names and counters of upstream's training. The other table of `model.pt` holds the same weights
    negated, so that a reader of the wrong table is noticed. Vocabulary and vocoder are copied.

    Args:
        folder: A folder that `make_checkpoint` wrote.
        out: The folder to write, which is created if it is missing.
        use_ema: Whether the table of averaged weights in `model.pt` is the right one. SILMA's program reads the other.
    """
    tensors = load_file(folder / "model.safetensors")
    negated = {name: -tensor for name, tensor in tensors.items()}
    counters = {"initted": torch.tensor(True), "step": torch.tensor(_UPDATES)}
    (out / "vocos").mkdir(parents=True, exist_ok=True)
    save_file(_averaged(tensors) | counters, out / "model.safetensors")
    averaged, last = (tensors, negated) if use_ema else (negated, tensors)
    tables = {"ema_model_state_dict": _averaged(averaged) | counters, "model_state_dict": last, "update": _UPDATES}
    torch.save(tables, out / "model.pt")
    torch.save(load_file(folder / "vocos" / "model.safetensors"), out / "vocos" / "pytorch_model.bin")
    for name in ("vocab.txt", "vocos/config.yaml"):
        copyfile(folder / name, out / name)


def _averaged(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"ema_model.{name}": tensor for name, tensor in tensors.items()}


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

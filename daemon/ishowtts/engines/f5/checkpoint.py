"""Loads the files of a checkpoint, and reports every mismatch in one sentence. Upstream is not imported: that takes
seconds.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ishowtts.engines.f5.architecture import BASE, ModelConfig, VocoderConfig, read_model, read_vocoder
from ishowtts.engines.f5.shapes import Shapes, dit_shapes, vocoder_shapes
from ishowtts.engines.f5.vocabulary import read_vocab
from ishowtts.engines.weights import Weights
from ishowtts.errors import WeightsError

Tensors = dict[str, Tensor]
_Value = TypeVar("_Value")

_EMA = "ema_model."
# Training leaves these in the official file; upstream drops them too.
_DROPPED = {"initted", "step", "mel_spec.mel_stft.mel_scale.fb", "mel_spec.mel_stft.spectrogram.window"}
_AGAIN = "fetch the weights again"
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory. It is complete and has the shape of its description.

    Attributes:
        vocab: index of each token.
        cfm: the tensors of upstream's `CFM`, by upstream's names.
        vocos: the tensors of `Vocos`, by its names.
    """

    model: ModelConfig
    vocoder: VocoderConfig
    vocab: dict[str, int]
    cfm: Tensors
    vocos: Tensors


def load(weights: Weights) -> Checkpoint:
    """Read and check all files. Tensors are as stored, usually fp32, on the CPU. Raises WeightsError."""
    model = read_model(weights.architecture) if weights.architecture else BASE
    vocoder = read_vocoder(weights.vocoder_config)
    vocab = read_vocab(weights.vocab)
    cfm = without_ema(_read_safetensors(weights.model))
    rows = cfm.get("transformer.text_embed.text_embed.weight")
    if rows is not None and rows.shape[0] != len(vocab) + 1:
        raise WeightsError(
            f"{weights.vocab} has {len(vocab)} tokens, but {weights.model} was trained on {rows.shape[0] - 1}; "
            "use the vocab.txt that came with it"
        )
    _expect(dit_shapes(model.arch, len(vocab)), cfm, weights.model)
    path = weights.vocoder
    vocos = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    _expect(vocoder_shapes(vocoder), vocos, path)
    return Checkpoint(model, vocoder, vocab, cfm, vocos)


def _read_safetensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is truncated or not a safetensors file; {_AGAIN}") from error


def read_pickled(path: Path, *, mapped: bool = False) -> object:
    """Read torch's old format with its restricted reader: plain values and tensors, and no code of the file runs.

    Args:
        path: the file.
        mapped: whether tensors stay in the file until they are used.

    Raises:
        WeightsError: it is truncated, or holds anything else.
    """
    try:
        _refuse_packed(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an unusual pickle, which is refused below or harmless
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is truncated, or holds more than tensors; {_AGAIN}") from error
    return content


def _read_pickle(path: Path) -> Tensors:
    content = read_pickled(path)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} is not a table of tensors; {_AGAIN}")
    return content


def _refuse_packed(path: Path) -> None:
    """Raise ValueError if a file is larger in memory than on disk, because `torch.save` does not compress.

    The file must also begin like a zip file: `zipfile` reads the end of a file, but torch reads its first bytes. A tar
    file with an empty zip after it would go to torch's oldest reader, which ran pickled code before torch 2.6
    (CVE-2025-32434).
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            raise ValueError("not a zip file")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise ValueError("compressed tensors")


def without_ema(table: Mapping[str, _Value]) -> dict[str, _Value]:
    """A table by upstream's names, without the prefix of averaged weights and without what training leaves in it."""
    plain = {name.removeprefix(_EMA): value for name, value in table.items()}
    return {name: value for name, value in plain.items() if name not in _DROPPED}


def _expect(shapes: Shapes, tensors: Tensors, path: Path) -> None:
    for name, shape in shapes.items():
        if name not in tensors:
            raise WeightsError(f"{path} lacks the tensor {name}; {_AGAIN}, with the description that belongs to them")
        if tuple(tensors[name].shape) != shape:
            raise WeightsError(
                f"{path} holds {name} with the shape {list(tensors[name].shape)}, but its description asks for "
                f"{list(shape)}; {_AGAIN}, with the description that belongs to them"
            )
        if not tensors[name].is_floating_point():
            raise WeightsError(f"{path} holds {name} as {tensors[name].dtype}, not as numbers with a point; {_AGAIN}")
        if tensors[name].untyped_storage().nbytes() < tensors[name].nbytes:
            # A view can repeat one number, so a file of 5 kB could become gigabytes.
            raise WeightsError(f"{path} holds {name} without all of its numbers; {_AGAIN}")
    unknown = sorted(set(tensors) - set(shapes))
    if unknown:
        raise WeightsError(
            f"{path} holds {unknown[0]}, which its description does not know; "
            f"{_AGAIN}, with the description that belongs to them"
        )

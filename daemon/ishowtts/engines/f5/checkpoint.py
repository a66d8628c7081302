"""From files to upstream's modules, with every mismatch told in one sentence."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ishowtts.engines.f5.architecture import BASE, Model, Vocoder, read_model, read_vocoder
from ishowtts.engines.f5.upstream import (
    CFM,
    DiT,
    ISTFTHead,
    MelSpectrogramFeatures,
    Vocos,
    VocosBackbone,
    get_tokenizer,
)
from ishowtts.engines.weights import Weights
from ishowtts.errors import WeightsError

_EMA = "ema_model."
# What training leaves in the official file and upstream drops as well.
_DROPPED = {"initted", "step", "mel_spec.mel_stft.mel_scale.fb", "mel_spec.mel_stft.spectrogram.window"}
_AGAIN = "fetch the weights again"


def load_cfm(weights: Weights) -> CFM:
    """The flow-matching model with its DiT: fp32, on the CPU, in eval mode. Raises WeightsError."""
    model = read_model(weights.architecture) if weights.architecture else BASE
    vocab = read_vocab(weights.vocab)
    cfm = build_cfm(model, vocab)
    tensors = _without_ema(_read_safetensors(weights.model))
    rows = tensors.get("transformer.text_embed.text_embed.weight")
    if rows is not None and rows.shape[0] != len(vocab) + 1:
        raise WeightsError(
            f"{weights.vocab} has {len(vocab)} tokens, but {weights.model} was trained on {rows.shape[0] - 1}; "
            "use the vocab.txt that came with it"
        )
    _fill(cfm, tensors, weights.model)
    return cfm.eval()


def load_vocos(weights: Weights) -> Vocos:
    """The vocoder: fp32, on the CPU, in eval mode. Raises WeightsError."""
    vocos = build_vocos(read_vocoder(weights.vocoder_config))
    path = weights.vocoder
    _fill(vocos, _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path), path)
    return vocos.eval()


def build_cfm(model: Model, vocab: dict[str, int]) -> CFM:
    """An untrained model of this shape."""
    transformer = DiT(**model.arch.model_dump(), mel_dim=model.mel_spec.n_mel_channels, text_num_embeds=len(vocab))
    return CFM(
        transformer=transformer,
        mel_spec_kwargs=model.mel_spec.model_dump(),
        odeint_kwargs={"method": "euler"},
        vocab_char_map=vocab,
    )


def build_vocos(vocoder: Vocoder) -> Vocos:
    """An untrained vocoder of this shape."""
    return Vocos(
        feature_extractor=MelSpectrogramFeatures(**vocoder.feature_extractor.init_args.model_dump()),
        backbone=VocosBackbone(**vocoder.backbone.init_args.model_dump()),
        head=ISTFTHead(**vocoder.head.init_args.model_dump()),
    )


def read_vocab(path: Path) -> dict[str, int]:
    """Token to index, as upstream reads it: one token a line, a space first. Raises WeightsError."""
    try:
        vocab: dict[str, int] = get_tokenizer(str(path), "custom")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read as a list of tokens; {_AGAIN}") from error
    if vocab.get(" ") != 0:
        raise WeightsError(f"{path} does not begin with a space, so it is no vocabulary of F5-TTS; {_AGAIN}")
    return vocab


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is truncated or no safetensors file; {_AGAIN}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """Read torch's old format with its restricted reader: tensors only, no code of the file runs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an unusual pickle; it is refused below or harmless
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} is truncated, or holds more than tensors; {_AGAIN}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} is no table of tensors; {_AGAIN}")
    return content


def _without_ema(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {name.removeprefix(_EMA): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in plain.items() if name not in _DROPPED}


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    wanted = module.state_dict()
    for name, place in wanted.items():
        if name not in tensors:
            raise WeightsError(f"{path} lacks the tensor {name}; {_AGAIN}, with the description that belongs to them")
        if tensors[name].shape != place.shape:
            found, expected = list(tensors[name].shape), list(place.shape)
            raise WeightsError(
                f"{path} holds {name} with the shape {found}, but its description asks for {expected}; "
                f"{_AGAIN}, with the description that belongs to them"
            )
    unknown = sorted(set(tensors) - set(wanted))
    if unknown:
        raise WeightsError(
            f"{path} holds {unknown[0]}, which its description does not know; "
            f"{_AGAIN}, with the description that belongs to them"
        )
    module.load_state_dict(dict(tensors))

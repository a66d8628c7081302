"""Exports the states of both trainers to the checkpoint folder that the engine loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

import yaml
from safetensors.torch import save_file
from torch import Tensor

from ishowtts.engines.f5.architecture import ModelConfig
from ishowtts.engines.f5.vocabulary import read_vocab
from ishowtts.engines.voices.voice_library import f5_tts_data
from voice_training.errors import TrainingError
from voice_training.flow import flow_trainer
from voice_training.recipe import Recipe
from voice_training.trainer import state_file
from voice_training.vocoder import vocoder_trainer


def vocabulary() -> Path:
    """Path of the vocabulary in the package f5-tts: English letters, pinyin with tones, and more."""
    return f5_tts_data("infer/examples/vocab.txt")


def export(recipe: Recipe, flow_state: Path, vocoder_state: Path, folder: Path) -> None:
    """Write the averaged weights of both models in fp16, their descriptions and the vocabulary.

    Raises:
        TrainingError: a state is missing, broken or of another recipe.
    """
    vocab = read_vocab(vocabulary())
    try:
        transformer = flow_trainer.export_weights(recipe.flow, vocab, state_file.load(flow_state))
        description, vocos = vocoder_trainer.export_weights(recipe.vocoder, state_file.load(vocoder_state))
    except ValueError as error:
        raise TrainingError(f"{flow_state} or {vocoder_state} cannot be exported: {error}") from error
    (folder / "vocos").mkdir(parents=True, exist_ok=True)
    copyfile(vocabulary(), folder / "vocab.txt")
    _save(folder / "model.safetensors", transformer)
    _save(folder / "vocos" / "model.safetensors", vocos)
    _write_yaml(folder / "vocos" / "config.yaml", description)
    model = ModelConfig(name=recipe.name, arch=recipe.flow.arch)
    _write_yaml(folder / "model.yaml", model.model_dump())  # last: if this file exists, the folder is complete


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)  # safetensors allows only the owner to read; the service is another user


def _write_yaml(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")

"""From two trainings to the checkpoint folder that the engine loads, with one reference clip a voice beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile

import soundfile
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from ishowtts.engines.f5.architecture import RATE_HZ, Dit, Model
from ishowtts.engines.voices.shelf import CLIPS, TEXT, f5_tts_data
from voicebox.corpus import Clip, Corpus
from voicebox.errors import TrainingError

_REFERENCE_S = (2.0, 5.0)


def write_model(folder: Path, name: str, arch: Dit, tensors: Mapping[str, Tensor]) -> None:
    """Write the transformer, its description and the vocabulary that it was trained with."""
    folder.mkdir(parents=True, exist_ok=True)
    copyfile(f5_tts_data("infer/examples/vocab.txt"), folder / "vocab.txt")
    _save(folder / "model.safetensors", tensors)
    _describe(folder / "model.yaml", Model(name=name, arch=arch).model_dump())


def write_vocoder(folder: Path, description: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write Vocos and its description."""
    (folder / "vocos").mkdir(parents=True, exist_ok=True)
    _save(folder / "vocos" / "model.safetensors", tensors)
    _describe(folder / "vocos" / "config.yaml", description)


def write_references(folder: Path, corpus: Corpus) -> None:
    """Write a reference clip of every voice, `NAME/reference.wav` and its words, as the engine's `voices_dir` has them."""
    for voice in corpus.voices():
        clip = _reference([clip for clip in corpus.clips if clip.voice == voice])
        (folder / voice).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / voice / CLIPS[0], corpus.wave(clip), RATE_HZ)
        (folder / voice / TEXT).write_text(clip.text + "\n", encoding="utf-8")


def _reference(clips: list[Clip]) -> Clip:
    """The longest that is no longer than a reference should be; that says the most of the voice."""
    low, high = _REFERENCE_S
    return max(clips, key=lambda clip: (clip.seconds <= high, clip.seconds))


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}, path)
    path.chmod(0o644)  # safetensors gives it to its owner alone; the service is another user


def _describe(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")

"""A training's state in a file of tensors, nothing else: safetensors, so that reading one runs no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from voice_training.errors import TrainingError


def save(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write the whole file or leave the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    save_file(dict(state), partial)
    partial.replace(path)


def load(path: Path) -> dict[str, Tensor]:
    """Read it to the CPU. Raises TrainingError where it is broken."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} is no state of a training, or truncated; copy it again or delete it") from error

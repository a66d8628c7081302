"""Saves and loads the state of a trainer as safetensors: a file of tensors only, so reading it runs no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from voice_training.errors import TrainingError


def save(path: Path, state: Mapping[str, Tensor]) -> None:
    """Replace the file at `path`. If that fails, the old file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    save_file(dict(state), partial)
    partial.replace(path)


def load(path: Path) -> dict[str, Tensor]:
    """Read the file, to the CPU. Raises TrainingError if it is missing or broken."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} is missing, truncated or not the state of a training; copy it again or delete it"
        ) from error

"""A small model as a repository of the hub has it, made from random weights. Imports torch when it is made."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ishowtts.engines.weights_catalogue import CATALOGUE, CatalogueModel


def tiny_model(checkpoint: Path, name: str) -> CatalogueModel:
    """Returns a model of the catalogue with the shape of a tiny checkpoint, and the checksums of its Vocos."""
    contents = vocos_files(checkpoint)
    arch = yaml.safe_load((checkpoint / "model.yaml").read_text())["arch"]
    model = CATALOGUE[name]
    pinned = []
    for file in model.pinned:
        content = contents[file.path]
        pinned.append(replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    description = {**(model.description or {}), "arch": arch}
    return replace(model, pinned=tuple(pinned), description=description, disk_bytes=10_000_000)


def vocos_files(checkpoint: Path) -> dict[str, bytes]:
    """Returns the files of the repository of Vocos, by their paths."""
    from safetensors.torch import load_file

    tensors = load_file(checkpoint / "vocos/model.safetensors")
    return {"config.yaml": (checkpoint / "vocos/config.yaml").read_bytes(), "pytorch_model.bin": pickled(tensors)}


def pickled(content: Any) -> bytes:
    """Returns what `torch.save` writes."""
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def training_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Returns what upstream's training saves: the weights, their averages (here: all zeros), and its own state."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(checkpoint / "model.safetensors")
    averages = {f"ema_model.{name}": torch.zeros_like(tensor) for name, tensor in tensors.items()}
    averages |= {"initted": torch.tensor(True), "step": torch.tensor(7)}
    averages["ema_model.mel_spec.mel_stft.spectrogram.window"] = torch.ones(1024)
    first = next(iter(tensors.values()))
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": first}}, "param_groups": [{"lr": 7.5e-5}]}
    return {
        "model_state_dict": tensors,
        "optimizer_state_dict": optimizer,
        "ema_model_state_dict": averages,
        "scheduler_state_dict": {"last_epoch": 3, "_last_lr": [1e-5]},
        "update": 3,
    }

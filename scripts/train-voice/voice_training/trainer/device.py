"""Where a training runs."""

from __future__ import annotations

import torch

from voice_training.errors import TrainingError


def device_of(asked: str | None) -> torch.device:
    """CUDA where it works, unless something else is asked for. Raises TrainingError where CUDA is asked for in vain."""
    works = torch.cuda.is_available()
    if asked == "cuda" and not works:
        raise TrainingError("there is no CUDA GPU that this torch can use; leave --device out to train on the CPU")
    device = torch.device(asked or ("cuda" if works else "cpu"))
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device

"""`python -m ishowtts.engines.f5.probe`: can torch compute here, and on what? One line of JSON.

A program of its own, so that whoever asks never holds torch, and a crash of CUDA is an answer too.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from ishowtts.engines.f5.device import cuda_fault


def probe() -> dict[str, Any]:
    """Versions, the GPU's name if there is one, and what is wrong with it."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "gpu": gpu,
        "cuda_fault": cuda_fault(),
    }


if __name__ == "__main__":
    print(json.dumps(probe()))

"""`python -m ishowtts.engines.f5.probe`: can torch compute here, and on what? One line of JSON.

A program of its own, so that whoever asks never holds torch, and a crash of CUDA is an answer too.
"""

from __future__ import annotations

import json
from typing import Any


def probe() -> dict[str, Any]:
    """Versions, and a real product on the GPU: `cuda.is_available()` is True on a wheel of the wrong architecture."""
    import torch

    found: dict[str, Any] = {"torch": torch.__version__, "cuda_build": torch.version.cuda, "gpu": None, "cuda_works": None}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(0)
        try:
            ones = torch.ones(64, 64, device="cuda", dtype=torch.float16)
            found["cuda_works"] = bool((ones @ ones).float().sum().item() == 64**3)
        except RuntimeError as error:
            found["cuda_works"] = False
            found["error"] = str(error).splitlines()[0]
    return found


if __name__ == "__main__":
    print(json.dumps(probe()))

"""The program of `ishowtts doctor`: can torch compute here, on what, and how fast? One line of JSON.

A program of its own, so that whoever asks never holds torch, and a crash of CUDA is an answer too.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.device import cuda_fault
from ishowtts.errors import first_line


def probe() -> dict[str, Any]:
    """Versions, the GPU's name if there is one, what is wrong with it, and what it reaches."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    fault = cuda_fault()
    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "gpu": gpu,
        "cuda_fault": fault,
        "rates": None if fault else measured("cuda") | _properties(),
    }


def measured(device: str) -> dict[str, Any]:
    """Rates of products and memory, fp16 on a GPU; the faults say why something is not there."""
    try:
        dtype = torch.float16 if device == "cuda" else torch.float32
        found = asdict(throughput.measure(device, dtype)) | {"fault": None}
    except RuntimeError as error:  # mostly: no memory left beside the daemon
        found = {"flop_per_s": None, "bytes_per_s": None, "fault": first_line(error)}
    return found | {"flash_fault": throughput.flash_fault(device), "fused_fault": throughput.fused_fault(device)}


def _properties() -> dict[str, Any]:
    """By which a board is known; the clock is not told by every torch."""
    properties = torch.cuda.get_device_properties(0)
    clock_khz = getattr(properties, "clock_rate", None)
    return {
        "sms": properties.multi_processor_count,
        "memory_mb": properties.total_memory / 1e6,
        "clock_mhz": clock_khz / 1000 if clock_khz else None,
    }


if __name__ == "__main__":
    print(json.dumps(probe()))

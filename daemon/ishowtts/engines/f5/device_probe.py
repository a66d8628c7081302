"""A program for `ishowtts doctor`: says as one line of JSON whether torch works here, on which device and how fast.

It is a separate program so that the caller never imports torch, and so that a crash of CUDA is an answer too.
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
    """The versions, the name of the GPU if there is one, its fault, and its throughput."""
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
    """Throughput of products (fp16 on a GPU) and memory. The faults say why a figure or a kernel is missing."""
    try:
        dtype = torch.float16 if device == "cuda" else torch.float32
        found = asdict(throughput.measure(device, dtype)) | {"fault": None}
    except RuntimeError as error:  # mostly because the daemon leaves no memory
        found = {"flop_per_s": None, "bytes_per_s": None, "fault": first_line(error)}
    fused_fault = throughput.fused_fault(device)
    return found | {
        "flash_fault": throughput.flash_fault(device),
        "fused_fault": fused_fault,
        "no_assembler": fused_fault is not None and fused_fault == throughput.no_assembler(device),
    }


def _properties() -> dict[str, Any]:
    """The properties that identify a board. Not every torch reports the clock."""
    properties = torch.cuda.get_device_properties(0)
    clock_khz = getattr(properties, "clock_rate", None)
    return {
        "sms": properties.multi_processor_count,
        "memory_mb": properties.total_memory / 1e6,
        "clock_mhz": clock_khz / 1000 if clock_khz else None,
    }


if __name__ == "__main__":
    print(json.dumps(probe()))

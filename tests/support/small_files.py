"""Files of a few bytes with the names of the official weights, for tests that need no torch."""

from __future__ import annotations

import json
import struct


def safetensors(size: int = 64) -> bytes:
    """Returns a correct safetensors file with one tensor of this many bytes."""
    head = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(size)


OFFICIAL_FILES = {
    "F5TTS_v1_Base/model_1250000.safetensors": safetensors(),
    "F5TTS_v1_Base/vocab.txt": b" \na\n",
    "vocos/config.yaml": b"head: {}\n",
    "vocos/pytorch_model.bin": b"tensors",
}

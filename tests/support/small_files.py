"""Files of a few bytes with the names of the official weights, for tests that need no torch."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path

from ishowtts.engines.weights_catalogue import OFFICIAL, CatalogueModel


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


def pinned_to(contents: dict[str, bytes]) -> CatalogueModel:
    """Returns the official model with the sizes and checksums of these files, by their names."""
    files = []
    for file in OFFICIAL.pinned:
        content = contents[Path(file.path).name]
        files.append(replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    return replace(OFFICIAL, pinned=tuple(files))

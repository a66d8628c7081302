"""Checks that the readers of untrusted files read or refuse any bytes, and never do anything else.

Each check returns if a reader does, and raises if it does not. A check is fast enough for a fuzzer.
"""

from __future__ import annotations

import os

import numpy as np
import soundfile

from ishowtts.engines.voices.recordings import MAX_CHANNELS, MAX_SAMPLES, open_sound, read_samples
from ishowtts.engines.weights import expected_bytes
from ishowtts.util import strict_yaml
from ishowtts.util.strict_yaml import StrictYamlError

MAX_S = 15.0


def check_clip(data: bytes) -> None:
    """Checks that a recording is decoded within its limits, or refused."""
    handle = os.memfd_create("clip")
    with os.fdopen(handle, "w+b") as file:
        file.write(data)
        file.flush()
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            with open_sound(file) as sound:
                samples = read_samples(sound, MAX_S, "float32")
        except (soundfile.SoundFileError, OSError, RuntimeError, ValueError):
            return
    assert samples.shape[1] <= MAX_CHANNELS
    assert samples.size <= MAX_SAMPLES
    assert np.isfinite(samples).all()


def check_yaml(data: bytes) -> None:
    """Checks that a YAML document becomes plain values that are no larger than the document, or is refused."""
    try:
        content = strict_yaml.load(data.decode("utf-8"))
    except (UnicodeDecodeError, StrictYamlError):
        return
    assert _size(content, 0) <= 2 * len(data) + 2
    repr(content)  # error messages quote refused values


def _size(content: object, depth: int) -> int:
    assert depth <= strict_yaml.MOST_DEPTH
    if isinstance(content, dict):
        assert all(isinstance(key, str) for key in content)
        return 1 + sum(len(key) + _size(value, depth + 1) for key, value in content.items())
    if isinstance(content, list):
        return 1 + sum(_size(item, depth + 1) for item in content)
    return len(content) if isinstance(content, str) else 1


def check_weights_head(data: bytes) -> None:
    """Checks that a safetensors header gives a size or is refused, also with a correct length in front of it."""
    for head in (data, len(data).to_bytes(8, "little") + data):
        try:
            expected = expected_bytes(head)
        except ValueError:
            continue
        assert expected >= 8 + int.from_bytes(head[:8], "little")

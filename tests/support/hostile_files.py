"""What any bytes at all may do where a stranger hands a file over: be read, or be refused in one sentence.

Each check returns for bytes that hold that promise, and raises for those that break it. They run no longer than the
bytes are long, so that a fuzzer can call them as they are.
"""

from __future__ import annotations

import os

import numpy as np
import soundfile

from ishowtts.engines.voices.recordings import MOST_CHANNELS, MOST_SAMPLES, open_sound, read_samples
from ishowtts.engines.weights import promised_bytes
from ishowtts.util import strict_yaml
from ishowtts.util.strict_yaml import StrictYamlError

LONGEST_S = 15.0


def check_clip(data: bytes) -> None:
    """A recording is decoded within its bounds, or refused."""
    handle = os.memfd_create("clip")
    with os.fdopen(handle, "w+b") as file:
        file.write(data)
        file.flush()
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            with open_sound(file) as sound:
                samples = read_samples(sound, LONGEST_S, "float32")
        except (soundfile.SoundFileError, OSError, RuntimeError, ValueError):
            return
    assert samples.shape[1] <= MOST_CHANNELS
    assert samples.size <= MOST_SAMPLES
    assert np.isfinite(samples).all()


def check_yaml(data: bytes) -> None:
    """A document becomes plain values that are no larger than itself, or is refused."""
    try:
        content = strict_yaml.load(data.decode("utf-8"))
    except (UnicodeDecodeError, StrictYamlError):
        return
    assert _size(content, 0) <= 2 * len(data) + 2
    repr(content)  # as messages do with values that they refuse


def _size(content: object, depth: int) -> int:
    assert depth <= strict_yaml.MOST_DEPTH
    if isinstance(content, dict):
        assert all(isinstance(key, str) for key in content)
        return 1 + sum(len(key) + _size(value, depth + 1) for key, value in content.items())
    if isinstance(content, list):
        return 1 + sum(_size(item, depth + 1) for item in content)
    return len(content) if isinstance(content, str) else 1


def check_weights_head(data: bytes) -> None:
    """The head of a safetensors file promises a size, or is refused: as it is, and behind a length that is right."""
    for head in (data, len(data).to_bytes(8, "little") + data):
        try:
            promised = promised_bytes(head)
        except ValueError:
            continue
        assert promised >= 8 + int.from_bytes(head[:8], "little")

"""Decodes recordings that a stranger may have made: bounded in bytes, rate, channels and samples. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from ishowtts.errors import VoiceError
from ishowtts.util.files import open_regular

MOST_BYTES = 50_000_000
LOWEST_HZ, HIGHEST_HZ = 8_000, 192_000
MOST_CHANNELS = 8
MOST_SAMPLES = 24_000_000
"""Of all channels together; 120 s in stereo at 96 kHz. As float64 they take 192 MB."""
_LOUDEST = 100.0  # floats may pass full scale; such sound is none
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")
_GIVE = "give a recording in WAV, FLAC, OGG or MP3"


@contextmanager
def open_recording(path: Path) -> Iterator[soundfile.SoundFile]:
    """Opens a recording by what is in it, whatever its name says.

    Raises:
        VoiceError: it is not an ordinary file, too large, in no format that we know, or its rate or number of channels
            is out of bounds. Also where what the caller does with it fails.
    """
    try:
        with open_regular(path, MOST_BYTES) as file, open_sound(file) as sound:
            yield sound
    except OSError as error:
        raise VoiceError(f"{path} cannot be read ({error.strerror or error}); {_GIVE}") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise VoiceError(f"{path} cannot be read ({_reason(error)}); {_GIVE}") from error


@contextmanager
def open_sound(file: BinaryIO) -> Iterator[soundfile.SoundFile]:
    """Opens what a file holds. Raises ValueError with a clause, or SoundFileError."""
    # Not read: libsndfile begins where the descriptor stands.
    if not _is_known(os.pread(file.fileno(), 12, 0)):
        raise ValueError("it is no sound that we know")
    with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
        if sound.format not in _FORMATS:
            raise ValueError(f"it holds {sound.format}")
        if not 1 <= sound.channels <= MOST_CHANNELS or not LOWEST_HZ <= sound.samplerate <= HIGHEST_HZ:
            raise ValueError(
                f"it has {sound.channels} channels at {sound.samplerate} Hz, and 1 to {MOST_CHANNELS} at {LOWEST_HZ} "
                f"to {HIGHEST_HZ} Hz are read"
            )
        yield sound


def read_samples(sound: soundfile.SoundFile, longest_s: float, dtype: str) -> NDArray[Any]:
    """Samples [samples, channels], by what is in the file: the length in its header may be wrong, or unknown.

    Raises:
        ValueError: it is longer than `longest_s`, has too many samples, or some that are no numbers.
    """
    frames = min(round(longest_s * sound.samplerate), MOST_SAMPLES // sound.channels)
    samples: NDArray[Any] = sound.read(frames + 1, dtype=dtype, always_2d=True)
    if len(samples) > frames:
        raise ValueError(f"it is longer than {frames / sound.samplerate:g} s, and that with its rate and channels")
    # Not a number compares as false.
    if samples.size and not (np.abs(samples) <= _LOUDEST).all():
        raise ValueError("it holds values that are no numbers, or far beyond full scale")
    return samples


def _is_known(head: bytes) -> bool:
    """Whether a file begins as one of the formats: the others of libsndfile's are not let at a stranger's bytes."""
    riff = head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE"
    aiff = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return riff or aiff or mpeg or head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3"


def _reason(error: Exception) -> str:
    # "Error opening 7: Format not recognised." names the descriptor, which tells nobody anything.
    return str(error).removeprefix("Error opening ").split(": ", 1)[-1].rstrip(".") or type(error).__name__

"""Decodes untrusted recordings, with limits on bytes, rate, channels and samples. Imports no torch."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from ishowtts.engines.voices.phone_recordings import conversion, decoded, phone_format
from ishowtts.errors import VoiceError
from ishowtts.util.files import open_regular

MAX_BYTES = 50_000_000
MIN_HZ, MAX_HZ = 8_000, 192_000
MAX_CHANNELS = 8
MAX_SAMPLES = 24_000_000
"""Total of all channels: 120 s in stereo at 96 kHz. As float64 they take 192 MB."""
_MAX_AMPLITUDE = 100.0  # floats may exceed full scale, but speech is never that loud
_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")
_HEAD_BYTES = 12
_FIX = "give a recording in WAV, FLAC, OGG or MP3 (`ffmpeg -i IN OUT.wav` converts others)"

_FIXES = {
    errno.ENOENT: "name a recording that exists",
    errno.ENOTDIR: "name a recording that exists",
    errno.ENAMETOOLONG: "name a recording that exists",
    errno.EACCES: "let this user read it, or run this with sudo",
}


@contextmanager
def open_recording(path: Path, *, convert: bool = False) -> Iterator[soundfile.SoundFile]:
    """Opens a recording by its content, whatever its name says.

    Args:
        path: the recording.
        convert: also take what telephones record, with ffmpeg or PyAV. Only for a file that an operator names: a
            service should start no decoder for files that others can replace.

    Raises:
        VoiceError: it is not a regular file, is too large, has an unknown format, or its rate or number of channels is
            out of bounds. Also if the caller's read fails.
    """
    try:
        with ExitStack() as stack:
            file = stack.enter_context(open_regular(path, MAX_BYTES))
            if os.fstat(file.fileno()).st_size == 0:
                raise VoiceError(f"{path} is empty; record it again, or name another recording")
            format_name = phone_format(os.pread(file.fileno(), _HEAD_BYTES, 0)) if convert else None
            if format_name is not None:
                file = stack.enter_context(decoded(file, path, format_name))
            yield stack.enter_context(open_sound(file))
    except OSError as error:
        fix = _shorten(path) if error.errno == errno.EFBIG else _FIXES.get(error.errno or 0, _FIX)
        if error.errno == errno.EINVAL and path.is_dir():
            fix = "name the recording in that folder"
        raise VoiceError(f"{path} cannot be read ({error.strerror or error}); {fix}") from error
    except TooLongError as error:
        raise VoiceError(f"{path} cannot be read ({error}); {_shorten(path)}") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise VoiceError(f"{path} cannot be read ({_reason(error)}); {_FIX}") from error


def _shorten(path: Path) -> str:
    return f"cut it: `{conversion(path, '-t', '9')}` keeps the first 9 s"


class TooLongError(ValueError):
    """A recording is longer than allowed. The message is a clause."""


@contextmanager
def open_sound(file: BinaryIO) -> Iterator[soundfile.SoundFile]:
    """Opens the sound of an open file. Raises ValueError with a clause, or SoundFileError."""
    # pread, because libsndfile begins at the position of the descriptor.
    if not _has_known_format(os.pread(file.fileno(), _HEAD_BYTES, 0)):
        raise ValueError("its format is unknown")
    with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
        if sound.format not in _FORMATS:
            raise ValueError(f"its format is {sound.format}")
        if not 1 <= sound.channels <= MAX_CHANNELS or not MIN_HZ <= sound.samplerate <= MAX_HZ:
            raise ValueError(
                f"it has {sound.channels} channels at {sound.samplerate} Hz, but 1 to {MAX_CHANNELS} at {MIN_HZ} "
                f"to {MAX_HZ} Hz are supported"
            )
        yield sound


def read_samples(sound: soundfile.SoundFile, max_s: float, dtype: str) -> NDArray[Any]:
    """Reads the samples [samples, channels]. It does not trust the length in the header, which may be wrong or unknown.

    Raises:
        TooLongError: the sound is longer than `max_s`.
        ValueError: it has samples that are not numbers.
    """
    frames = min(round(max_s * sound.samplerate), MAX_SAMPLES // sound.channels)
    samples: NDArray[Any] = sound.read(frames + 1, dtype=dtype, always_2d=True)
    if len(samples) > frames:
        raise TooLongError(f"it is longer than {frames / sound.samplerate:g} s, the limit for its rate and channels")
    # NaN compares as false.
    if samples.size and not (np.abs(samples) <= _MAX_AMPLITUDE).all():
        raise ValueError("it has samples that are not numbers, or far beyond full scale")
    return samples


def _has_known_format(head: bytes) -> bool:
    """Returns whether a file begins like one of the formats. Other parsers of libsndfile get no untrusted bytes."""
    riff = head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE"
    aiff = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    mpeg = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return riff or aiff or mpeg or head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3"


def _reason(error: Exception) -> str:
    # "Error opening 7: Format not recognised." names the descriptor, which helps nobody.
    return str(error).removeprefix("Error opening ").split(": ", 1)[-1].rstrip(".") or type(error).__name__

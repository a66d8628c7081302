"""Decodes what telephones and browsers record (M4A, 3GP, WebM, AAC, AMR) with ffmpeg or PyAV, if one is installed.

libsndfile reads none of these. The files are untrusted: ffmpeg is told the format, may open no other file and no
address, and has limits on time and output.
"""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_MAX_DECODED_S = 121
"""A little more than a recording may be long, so that one that is too long is refused and not cut."""
_MAX_DECODED_BYTES = 48_000_000
_DECODE_S = 60.0


def phone_format(head: bytes) -> str | None:
    """Returns ffmpeg's name of the format of a file that begins with these bytes; `None` if it is none of these."""
    if head[4:8] == b"ftyp":
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:5] == b"#!AMR":
        return "amr"
    if head[:4] == b"caff":
        return "caf"
    # An AAC frame begins as an MPEG frame of layer 0, which MPEG audio does not have.
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    return None


def conversion(path: Path, *options: str) -> str:
    """Returns the command that makes a WAV file of a recording."""
    target = path.with_name(f"{path.stem}{'-cut' if options else ''}.wav")
    return " ".join(["ffmpeg", "-i", shlex.quote(str(path)), *options, shlex.quote(str(target))])


@contextmanager
def decoded(file: BinaryIO, path: Path, format_name: str) -> Iterator[BinaryIO]:
    """Decodes an open recording to a WAV file, which is deleted at the end of the block.

    Args:
        file: the recording.
        path: its path, for messages.
        format_name: from `phone_format`.

    Raises:
        ValueError: it cannot be decoded, or no decoder is installed. The message is a clause.
    """
    with tempfile.TemporaryDirectory(prefix="ishowtts-") as folder:
        wav = Path(folder) / "decoded.wav"
        if shutil.which("ffmpeg") is not None:
            _decode_with_ffmpeg(file, wav, format_name)
        elif (av := _pyav()) is not None:
            _decode_with_pyav(av, file, wav, format_name)
        else:
            raise ValueError(
                f"it needs ffmpeg, which is not installed here: `{conversion(path)}` converts it elsewhere"
            )
        with wav.open("rb") as opened:
            yield opened


def _decode_with_ffmpeg(file: BinaryIO, wav: Path, format_name: str) -> None:
    # By its descriptor: ffmpeg gets no name that it could take for an option, an address or another protocol.
    source = ["-protocol_whitelist", "file", "-f", format_name, "-i", f"file:/dev/fd/{file.fileno()}"]
    sound = ["-map", "0:a:0", "-vn", "-sn", "-dn", "-t", str(_MAX_DECODED_S), "-fs", str(_MAX_DECODED_BYTES)]
    command = [
        "ffmpeg", "-nostdin", "-hide_banner", "-v", "quiet", "-threads", "1", *source, *sound,
        "-c:a", "pcm_s16le", "-f", "wav", "-y", f"file:{wav}",
    ]  # fmt: skip
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(file.fileno(),),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            timeout=_DECODE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"ffmpeg did not decode it within {_DECODE_S:.0f} s") from error
    except OSError as error:
        raise ValueError(f"ffmpeg cannot be run: {error.strerror}") from error
    if done.returncode != 0 or not wav.is_file():
        raise ValueError("ffmpeg cannot decode it, or it has no sound")


def _pyav() -> Any:
    """Returns the module of PyAV; `None` if it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError:
        return None


def _decode_with_pyav(av: Any, file: BinaryIO, wav: Path, format_name: str) -> None:
    import soundfile

    file.seek(0)
    ends_s = time.monotonic() + _DECODE_S
    samples = 0
    try:
        # A file object and not a name: PyAV then opens nothing else.
        with av.open(file, format=format_name) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="s16")
            rate_hz, channels = int(stream.codec_context.sample_rate), int(stream.codec_context.channels)
            with soundfile.SoundFile(wav, "w", rate_hz, channels, "PCM_16", format="WAV") as target:
                for frame in container.decode(stream):
                    for block in resampler.resample(frame):
                        target.write(_interleaved(block.to_ndarray(), channels))
                        samples += block.samples
                    if samples > _MAX_DECODED_S * rate_hz or samples * channels * 2 > _MAX_DECODED_BYTES:
                        break
                    if time.monotonic() > ends_s:
                        raise TimeoutError
    except TimeoutError as error:
        raise ValueError(f"PyAV did not decode it within {_DECODE_S:.0f} s") from error
    except Exception as error:  # the boundary: PyAV raises errors of FFmpeg, and IndexError without sound
        raise ValueError("PyAV cannot decode it, or it has no sound") from error
    if samples == 0:
        raise ValueError("it has no sound")


def _interleaved(block: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    return block.reshape(-1, channels)

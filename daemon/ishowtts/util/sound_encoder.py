"""Encodes a sound piece by piece, so that its first piece can be sent before the rest is made."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import soundfile

from ishowtts.model import Samples, SoundFormat

_RATES_HZ = {
    SoundFormat.OPUS: (8_000, 12_000, 16_000, 24_000, 48_000),
    SoundFormat.MP3: (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}
# Encoding half a second takes up to 40 ms in Opus, 10 ms in MP3 and 1 ms in FLAC.
_SLICE_S = 0.25
_OGG_PAGE_LATENCY_MS = 200.0  # libsndfile collects a second of sound in a page
_SFC_SET_OGG_PAGE_LATENCY_MS = 0x1302
_MP3_BITRATE = 0.42  # of 0 to 1, for 24 kHz: 96 kbit/s. A constant rate tells players the time without an index
_UNKNOWN_SIZE = 0xFFFF_FFFF


class SoundEncoder(Protocol):
    """Encodes one sound."""

    def encode(self, samples: Samples) -> bytes:
        """Returns what can be sent after the next [n] samples. It may be empty."""

    def finish(self) -> bytes:
        """Returns the rest. Nothing can be encoded afterwards."""


def encodable_rate_hz(sound_format: SoundFormat, rate_hz: int) -> int:
    """Returns the rate at which a sound must be encoded: its own, or the next higher one that the format has."""
    rates_hz = _RATES_HZ.get(sound_format)
    if rates_hz is None:
        return rate_hz
    return next((each for each in rates_hz if each >= rate_hz), rates_hz[-1])


def slices(samples: Samples, rate_hz: int) -> list[Samples]:
    """Cuts a sound into pieces that each take a few milliseconds to encode."""
    step = max(1, int(_SLICE_S * rate_hz))
    return [samples[start : start + step] for start in range(0, len(samples), step)]


def build_encoder(sound_format: SoundFormat, rate_hz: int) -> SoundEncoder:
    """Builds the encoder of one mono sound.

    Args:
        sound_format: The format. WAV and FLAC say that the length is unknown, since it is when their header is sent.
        rate_hz: A rate that `encodable_rate_hz` returned.
    """
    if sound_format is SoundFormat.PCM:
        return _PcmEncoder(b"")
    if sound_format is SoundFormat.WAV:
        return _PcmEncoder(_wav_header(rate_hz))
    return _FileEncoder(_OPENED[sound_format], rate_hz)


class _PcmEncoder:
    """Signed 16 bit little endian, after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def encode(self, samples: Samples) -> bytes:
        header, self._header = self._header, b""
        return header + np.asarray(samples, "<i2").tobytes()

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


class _FileEncoder:
    """Encodes with libsndfile, into a file that can only grow."""

    def __init__(self, open_file: Callable[[io.RawIOBase, int], Any], rate_hz: int) -> None:
        self._output = _GrowingFile()
        self._file = open_file(self._output, rate_hz)

    def encode(self, samples: Samples) -> bytes:
        self._file.write(samples)
        return self._output.take()

    def finish(self) -> bytes:
        self._file.close()
        return self._output.take()


class _GrowingFile(io.RawIOBase):
    """Takes what is written at the end. A header that is written again at the end is dropped: it was sent already."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._size = self._position = 0

    def take(self) -> bytes:
        """Returns what was added since the last call."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken

    def write(self, data: Any) -> int:
        piece = bytes(data)
        new = self._position + len(piece) - self._size
        if new > 0:
            self._waiting += piece[-new:]
            self._size += new
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, _size: int = -1) -> bytes:
        return b""


def _open_flac(output: io.RawIOBase, rate_hz: int) -> Any:
    return soundfile.SoundFile(output, "w", rate_hz, 1, format="FLAC", subtype="PCM_16")


def _open_opus(output: io.RawIOBase, rate_hz: int) -> Any:
    file = soundfile.SoundFile(output, "w", rate_hz, 1, format="OGG", subtype="OPUS")
    # soundfile has no method for this command. Without it the first sound would wait for a second of sound.
    latency_ms = soundfile._ffi.new("double *", _OGG_PAGE_LATENCY_MS)
    size = soundfile._ffi.sizeof("double")
    soundfile._snd.sf_command(file._file, _SFC_SET_OGG_PAGE_LATENCY_MS, latency_ms, size)
    return file


def _open_mp3(output: io.RawIOBase, rate_hz: int) -> Any:
    return soundfile.SoundFile(
        output,
        "w",
        rate_hz,
        1,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=_MP3_BITRATE,
    )


_OPENED: dict[SoundFormat, Callable[[io.RawIOBase, int], Any]] = {
    SoundFormat.FLAC: _open_flac,
    SoundFormat.OPUS: _open_opus,
    SoundFormat.MP3: _open_mp3,
}


def _wav_header(rate_hz: int) -> bytes:
    """Returns the header of a WAV file of unknown length, mono, 16 bit."""
    riff = struct.pack("<4sI4s", b"RIFF", _UNKNOWN_SIZE, b"WAVE")
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return riff + fmt + struct.pack("<4sI", b"data", _UNKNOWN_SIZE)

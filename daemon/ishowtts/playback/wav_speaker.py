"""A speaker that writes a WAV file: for machines without a card, for tests, and to keep the speech."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import time
from pathlib import Path
from typing import BinaryIO

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback.silent_speaker import RealtimeClock

_HEADER_BYTES = 44
_MAX_BYTES = 2**32 - 1 - _HEADER_BYTES


class WavSpeaker:
    """Appends what is played to a WAV file, in real time. Pauses between lines are not kept.

    The header is updated after each block, so that the file is valid whenever the process dies. The `wave` module does
    that too, but it cannot continue a file after a loss of the device.

    Args:
        path: A `.wav` file, which each start overwrites, or a folder in which each start creates a new file.
        paced: False takes samples as fast as they come, for benchmarks.
    """

    underruns = 0

    def __init__(self, path: Path, *, paced: bool = True) -> None:
        self.name = f"wav:{path}"
        self._path = path
        self._clock = RealtimeClock() if paced else None
        self._file_path: Path | None = None
        self._file: BinaryIO | None = None
        self._rate_hz = 0

    def open(self, rate_hz: int) -> None:
        """Creates the file, or continues it after a loss of the device. Raises SpeakerError if it cannot be written."""
        self.close()
        self._rate_hz = rate_hz
        try:
            if self._file_path is None:
                self._file_path = self._create()
            self._file = os.fdopen(os.open(self._file_path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
            self._write_header(self._file)
        except OSError as error:
            self.close()
            raise SpeakerError(f"{self._path} cannot be written ({error.strerror}); fix audio.device") from error

    def write(self, block: Samples) -> None:
        """Appends one block, and waits as a device would."""
        if self._file is None:
            raise SpeakerError(f"{self._path} is not open")
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(block.astype("<i2").tobytes())
            self._write_header(self._file)
        except OSError as error:
            raise SpeakerError(f"{self._path} cannot be written ({error.strerror}); is the disk full?") from error
        if self._clock is not None:
            self._clock.consume(len(block) / self._rate_hz)

    def flush(self) -> None:
        """Does nothing: no samples are held back."""

    def delay_s(self) -> float:
        """Seconds that a device would still have to play."""
        return self._clock.delay_s() if self._clock else 0.0

    def drain(self) -> None:
        """Waits until a device would have played everything."""
        if self._clock is not None:
            self._clock.drain()

    def drop(self) -> None:
        """Stops waiting for what a device would still have to play. It stays in the file."""
        if self._clock is not None:
            self._clock.drop()

    def close(self) -> None:
        """Closes the file, which is valid already."""
        file, self._file = self._file, None
        if file is not None:
            # The write has already reported what a full disk did not take.
            with contextlib.suppress(OSError):
                file.close()

    def away(self) -> str | None:
        """Returns `None`: only `open` can tell."""
        return None

    def _create(self) -> Path:
        """Creates an empty file, at the path itself or in the folder, and returns its path."""
        if self._path.suffix == ".wav":
            self._path.write_bytes(b"")
            return self._path
        self._path.mkdir(parents=True, exist_ok=True)
        started = time.strftime("ishowtts-%Y%m%d-%H%M%S")
        for i in itertools.count(1):
            path = self._path / (f"{started}.wav" if i == 1 else f"{started}-{i}.wav")
            if not path.exists():
                break
        path.touch()
        return path

    def _write_header(self, file: BinaryIO) -> None:
        """Writes the header after the samples, so that it never announces more than the file holds."""
        data_bytes = file.seek(0, os.SEEK_END) - _HEADER_BYTES
        data_bytes = min(max(data_bytes - data_bytes % 2, 0), _MAX_BYTES)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, self._rate_hz, 2 * self._rate_hz, 2, 16)
        riff = struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
        header = riff + form + struct.pack("<4sI", b"data", data_bytes)
        file.seek(0)
        file.write(header)
        file.flush()

"""The sound in a WAV file: for machines without a card, for tests, and to keep what was said."""

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
from ishowtts.playback.realtime_clock import RealtimeClock

_HEADER_BYTES = 44
_MOST_BYTES = 2**32 - 1 - _HEADER_BYTES


class WavSpeaker:
    """Appends what is played to a WAV file, at the speed of a device. Pauses between lines are not kept.

    The header is mended after each block, so that the file is whole whenever the process dies; the `wave` module does
    that too, but cannot go on with a file after a loss.

    Args:
        path: a `.wav` file, begun anew at each start, or a folder in which each start makes a file of its own.
        paced: False takes the sound as fast as it comes, for benchmarks.
    """

    underruns = 0

    def __init__(self, path: Path, *, paced: bool = True) -> None:
        self.name = f"wav:{path}"
        self._path = path
        self._pace = RealtimeClock() if paced else None
        self._begun: Path | None = None
        self._file: BinaryIO | None = None
        self._rate_hz = 0

    def open(self, rate_hz: int) -> None:
        """Begin the file, or go on with it after a loss. Raises SpeakerError where it cannot be written."""
        self.close()
        self._rate_hz = rate_hz
        try:
            if self._begun is None:
                self._begun = self._begin()
            self._file = os.fdopen(os.open(self._begun, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
            self._mend_header(self._file)
        except OSError as error:
            self.close()
            raise SpeakerError(f"{self._path} cannot be written ({error.strerror}); mend audio.device") from error

    def write(self, block: Samples) -> None:
        """Append one block, and wait as a device would."""
        if self._file is None:
            raise SpeakerError(f"{self._path} is not open")
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(block.astype("<i2").tobytes())
            self._mend_header(self._file)
        except OSError as error:
            raise SpeakerError(f"{self._path} cannot be written ({error.strerror}); is the disk full?") from error
        if self._pace is not None:
            self._pace.passed(len(block) / self._rate_hz)

    def flush(self) -> None:
        """Nothing is held back."""

    def delay_s(self) -> float:
        """Seconds that a device would still have to play."""
        return self._pace.delay_s() if self._pace else 0.0

    def drain(self) -> None:
        """Let that time pass."""
        if self._pace is not None:
            self._pace.wait_out()

    def drop(self) -> None:
        """What was written stays in the file; no time passes for it."""
        if self._pace is not None:
            self._pace.drop()

    def close(self) -> None:
        """Let go of the file; it is whole already."""
        file, self._file = self._file, None
        if file is not None:
            # What a full disk did not take was reported by the write.
            with contextlib.suppress(OSError):
                file.close()

    def away(self) -> str | None:
        """Only opening it tells."""
        return None

    def _begin(self) -> Path:
        """An empty file: the path itself, or a new one in the folder."""
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

    def _mend_header(self, file: BinaryIO) -> None:
        """Sound first, header last: it never promises what the file does not hold."""
        held = file.seek(0, os.SEEK_END) - _HEADER_BYTES
        held = min(max(held - held % 2, 0), _MOST_BYTES)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, self._rate_hz, 2 * self._rate_hz, 2, 16)
        header = struct.pack("<4sI4s", b"RIFF", 36 + held, b"WAVE") + form + struct.pack("<4sI", b"data", held)
        file.seek(0)
        file.write(header)
        file.flush()

"""The sound in a WAV file: for machines without a card, for tests, and to keep what was said."""

from __future__ import annotations

import time
import wave
from pathlib import Path
from typing import BinaryIO

from ishowtts.errors import SpeakerError
from ishowtts.playback.pace import Pace
from ishowtts.speech import Samples


class WavSpeaker:
    """Appends what is played to a WAV file, at the speed of a device. Pauses between lines are not kept.

    The standard library's `wave` writes it: unlike libsndfile it mends the header after each block, so that the
    file is whole whenever the process dies.

    Args:
        path: a `.wav` file, begun anew at each start, or a folder in which each start makes a file of its own.
        paced: False takes the sound as fast as it comes, for benchmarks.
    """

    def __init__(self, path: Path, *, paced: bool = True) -> None:
        self.name = f"wav:{path}"
        self._path = path
        self._pace = Pace() if paced else None
        self._file: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None
        self._rate_hz = 0

    def open(self, rate_hz: int) -> None:
        """Begin the file. Raises SpeakerError where it cannot be written."""
        self._rate_hz = rate_hz
        path = self._path
        try:
            if path.suffix != ".wav":
                path.mkdir(parents=True, exist_ok=True)
                path = path / time.strftime("ishowtts-%Y%m%d-%H%M%S.wav")
            self._file = path.open("wb")
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - it lives as long as the speaker
            self._wave.setparams((1, 2, rate_hz, 0, "NONE", "not compressed"))
            self._wave.writeframes(b"")
            self._file.flush()
        except OSError as error:
            self.close()
            raise SpeakerError(f"{path} cannot be written ({error.strerror}); mend audio.device") from error

    def write(self, block: Samples) -> None:
        """Append one block, and wait as a device would."""
        if self._wave is None or self._file is None:
            raise SpeakerError(f"{self._path} is not open")
        try:
            self._wave.writeframes(block.astype("<i2").tobytes())
            self._file.flush()
        except OSError as error:
            raise SpeakerError(f"{self._path} cannot be written ({error.strerror}); is the disk full?") from error
        if self._pace is not None:
            self._pace.passed(len(block) / self._rate_hz)

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
        """Finish the file."""
        if self._wave is not None:
            self._wave.close()
            self._wave = None
        if self._file is not None:
            self._file.close()
            self._file = None

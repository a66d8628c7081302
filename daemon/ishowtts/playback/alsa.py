"""A sound card, through ALSA itself: a system service cannot reach a user's PipeWire."""

from __future__ import annotations

import errno

import alsaaudio

from ishowtts.errors import SpeakerError
from ishowtts.speech import Samples

_PERIODS = 3
_PERIOD_S = 0.01
_TRIES = 3


class AlsaSpeaker:
    """Any ALSA PCM by name, mono S16 at the rate that is asked for; `plughw:` and `plug` convert what a card lacks.

    A sound server behind the PCM may begin late: PulseAudio's idle null sink renders 2 s ahead, and takes the second
    block only then. Real cards begin at once.

    Args:
        pcm: as `aplay -L` names it.
    """

    def __init__(self, pcm: str) -> None:
        self.name = pcm
        self.underruns = 0
        self._pcm: alsaaudio.PCM | None = None
        self._rate_hz = 0
        self._buffer_frames = 0

    def open(self, rate_hz: int) -> None:
        """Open the device with a buffer of about 30 ms. Raises SpeakerError where it is absent or busy."""
        self.close()
        self._rate_hz = rate_hz
        try:
            self._pcm = alsaaudio.PCM(
                type=alsaaudio.PCM_PLAYBACK,
                mode=alsaaudio.PCM_NORMAL,
                device=self.name,
                rate=rate_hz,
                channels=1,
                format=alsaaudio.PCM_FORMAT_S16_LE,
                periodsize=int(rate_hz * _PERIOD_S),
                periods=_PERIODS,
            )
            self._buffer_frames = int(self._pcm.info()["buffer_size"])
        except alsaaudio.ALSAAudioError as error:
            self.close()
            raise SpeakerError(
                f"the sound device {self.name} cannot be opened: {error}; see `ishowtts devices`"
            ) from error

    def write(self, block: Samples) -> None:
        """Write one block; after an underrun it is written again, since ALSA did not take it."""
        data = block.astype("<i2").tobytes()
        for _ in range(_TRIES):
            try:
                written = self._opened().write(data)
            except alsaaudio.ALSAAudioError as error:
                raise SpeakerError(f"the sound device {self.name} was lost: {error}") from error
            if written == -errno.EPIPE:
                self.underruns += 1
                continue
            data = data[2 * max(written, 0) :]
            if not data:
                return
        raise SpeakerError(f"the sound device {self.name} takes no sound")

    def delay_s(self) -> float:
        """What stands in the device's buffer, in seconds."""
        try:
            room = int(self._opened().avail())
        except (alsaaudio.ALSAAudioError, SpeakerError):
            return 0.0
        # Below zero it is an error number: an underrun, so nothing waits.
        return 0.0 if room < 0 else max(self._buffer_frames - room, 0) / self._rate_hz

    def drain(self) -> None:
        """Wait until the buffer has been heard; the next write starts the device again."""
        try:
            self._opened().drain()
        except alsaaudio.ALSAAudioError as error:
            raise SpeakerError(f"the sound device {self.name} was lost: {error}") from error

    def drop(self) -> None:
        """Forget what stands in the buffer."""
        try:
            self._opened().drop()
        except alsaaudio.ALSAAudioError as error:
            raise SpeakerError(f"the sound device {self.name} was lost: {error}") from error

    def close(self) -> None:
        """Release the card."""
        if self._pcm is not None:
            self._pcm.close()
            self._pcm = None

    def _opened(self) -> alsaaudio.PCM:
        if self._pcm is None:
            raise SpeakerError(f"the sound device {self.name} is not open")
        return self._pcm

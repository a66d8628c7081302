"""A sound card, through ALSA itself: a system service cannot reach a user's PipeWire."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

import numpy as np

from ishowtts.errors import SpeakerError
from ishowtts.model import Samples
from ishowtts.playback.alsa import sound_cards
from ishowtts.playback.alsa.libasound import Pcm
from ishowtts.playback.resampler import StreamResampler
from ishowtts.util.samples import to_int16

_PERIODS = 3
_PERIOD_S = 0.01
_TRIES = 3
# PulseAudio's idle null sink renders 2 s ahead, and takes the second block only then. Cards begin at once.
_PATIENCE_S = 5.0


class AlsaSpeaker:
    """Any ALSA PCM by name. What it refuses is converted here: the rate with soxr, the channels by doubling.

    `plughw:` and `plug` are not left to change the rate either: ALSA's own way is a straight line between samples.

    Measured behind PulseAudio's null sink: what `delay_s` says and what the sink's monitor heard differ by 1 ms at
    most. There `snd_pcm_delay` says 0, and the buffer tells the truth; a USB card's delay counts transfers that have
    left the buffer and are not heard yet. So the larger one counts.

    Args:
        pcm: as `aplay -L` names it.
    """

    def __init__(self, pcm: str) -> None:
        self.name = pcm
        self.underruns = 0
        self._pcm: Pcm | None = None
        self._converter: StreamResampler | None = None

    def open(self, rate_hz: int) -> None:
        """Open the device with a buffer of about 30 ms. Raises SpeakerError where it is absent or busy."""
        self.close()
        try:
            self._pcm = Pcm(self.name, rate_hz, _PERIOD_S, _PERIODS)
        except OSError as error:
            raise SpeakerError(self._refused(error)) from error
        device_hz = self._pcm.shape.rate_hz
        if device_hz != rate_hz:
            try:
                self._converter = StreamResampler(rate_hz, device_hz)
            except ValueError as error:
                self.close()
                raise SpeakerError(f"the sound device {self.name}: {error}; see `ishowtts devices`") from error

    def write(self, block: Samples) -> None:
        """Write one block; after an underrun the device is made ready again, and gets what it did not take."""
        self._put(block if self._converter is None else to_int16(self._converter.convert(block.astype(np.float32))))

    def flush(self) -> None:
        """Have the converter give what it holds."""
        if self._converter is not None and self._converter.held_s:
            self._put(to_int16(self._converter.flush()))

    def delay_s(self) -> float:
        """What stands in the converter, in the device's buffer and, where it tells, behind that, in seconds.

        Raises:
            SpeakerError: the device does not answer: what it held was not heard.
        """
        if self._pcm is None:
            return 0.0
        held_s = self._converter.held_s if self._converter else 0.0
        return held_s + self._asked(self._pcm.delay) / self._pcm.shape.rate_hz

    def drain(self) -> None:
        """Wait until all has been heard; the next write starts the device again."""
        self.flush()
        pcm = self._opened()
        try:
            pcm.drain()
        except OSError as error:
            raise self._lost(error) from error

    def drop(self) -> None:
        """Forget what was not heard yet."""
        if self._converter is not None:
            self._converter.clear()
        pcm = self._opened()
        try:
            pcm.drop()
        except OSError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Release the card."""
        pcm, self._pcm, self._converter = self._pcm, None, None
        if pcm is not None:
            pcm.close()

    def away(self) -> str | None:
        """Whether the card was unplugged while nothing was written, as the library or /proc tells."""
        if sound_cards.is_gone(self.name) or (self._pcm is not None and self._pcm.disconnected()):
            return f"the sound device {self.name} is away"
        return None

    def _put(self, samples: Samples) -> None:
        pcm = self._opened()
        data = np.repeat(samples.astype("<i2"), pcm.shape.channels).tobytes()
        failures = 0
        self._let_pass(pcm, len(samples))
        if pcm.ran_dry:
            self.underruns += 1
            pcm.ran_dry = False
        while data:
            try:
                taken = pcm.write(data)
                if taken == 0 and not pcm.wait(_PATIENCE_S):
                    raise SpeakerError(f"the sound device {self.name} takes no sound")
                data = data[2 * pcm.shape.channels * taken :]
            except OSError as error:
                failures += 1
                if error.errno not in (errno.EPIPE, errno.ESTRPIPE) or failures == _TRIES:
                    raise self._lost(error) from error
                self._recover(pcm)

    def _let_pass(self, pcm: Pcm, coming: int) -> None:
        """Some devices take no buffer as short as was asked for: no more of it is filled than a stop may wait for."""
        shape = pcm.shape
        most = max(int(_PERIODS * _PERIOD_S * shape.rate_hz), 2 * shape.period)
        if shape.buffer > most and (ahead := self._asked(pcm.queued) + coming - most) > 0:
            time.sleep(ahead / shape.rate_hz)

    def _asked(self, count: Callable[[], int]) -> int:
        """Frames. Raises SpeakerError where the device does not answer."""
        try:
            return count()
        except OSError as error:
            raise self._lost(error) from error

    def _recover(self, pcm: Pcm) -> None:
        """After an underrun, or a sleep of the machine: ALSA did not take what was to be written."""
        self.underruns += 1
        try:
            pcm.prepare()
        except OSError as error:
            raise self._lost(error) from error

    def _opened(self) -> Pcm:
        if self._pcm is None:
            raise SpeakerError(f"the sound device {self.name} is not open")
        return self._pcm

    def _lost(self, error: OSError) -> SpeakerError:
        return SpeakerError(f"the sound device {self.name} was lost: {error.strerror}")

    def _refused(self, error: OSError) -> str:
        if error.errno == errno.EBUSY:
            holder = sound_cards.holder(self.name) or "another program"
            mend = "systemctl stop ishowtts" if holder.startswith(sound_cards.OURS) else "end that program"
            return f"the sound device {self.name} is busy, {holder} holds it; {mend} first"
        if error.errno == errno.EACCES or sound_cards.is_closed(self.name):
            return f"the sound device {self.name} is closed to this user; use sudo, or join the group audio"
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return f"the sound device {self.name} is not there; see `ishowtts devices`"
        return f"the sound device {self.name} cannot be opened: {error.strerror}; see `ishowtts devices`"

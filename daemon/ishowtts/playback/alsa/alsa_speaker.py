"""A sound card as a speaker, through ALSA itself: a system service cannot reach a user's PipeWire."""

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
_MAX_FAILURES = 3
# PulseAudio's idle null sink renders 2 s ahead and accepts the second block only after that. Cards accept it at once.
_WRITE_TIMEOUT_S = 5.0


class AlsaSpeaker:
    """Any ALSA PCM by name. Converts what the device refuses: the rate with soxr, the channels by copying.

    `plughw:` and `plug` never change the rate: ALSA's own converter interpolates linearly.

    Measured with PulseAudio's null sink: `delay_s` and what the sink's monitor heard differ by at most 1 ms. There
    `snd_pcm_delay` returns 0, and the fill level of the buffer is right. A USB card's delay includes transfers that
    have left the buffer and are not heard yet. So the larger of the two is used.

    Args:
        pcm: Name of the PCM, as in `aplay -L`.
    """

    def __init__(self, pcm: str) -> None:
        self.name = pcm
        self.underruns = 0
        self._pcm: Pcm | None = None
        self._converter: StreamResampler | None = None

    def open(self, rate_hz: int) -> None:
        """Opens the device with a buffer of about 30 ms. Raises SpeakerError if it is absent or busy."""
        self.close()
        try:
            self._pcm = Pcm(self.name, rate_hz, _PERIOD_S, _PERIODS)
        except OSError as error:
            raise SpeakerError(self._refused(error)) from error
        device_hz = self._pcm.format.rate_hz
        if device_hz != rate_hz:
            try:
                self._converter = StreamResampler(rate_hz, device_hz)
            except ValueError as error:
                self.close()
                raise SpeakerError(f"the sound device {self.name}: {error}; see `ishowtts devices`") from error

    def write(self, block: Samples) -> None:
        """Writes one block. After an underrun, prepares the device again and writes what it did not take."""
        self._put(block if self._converter is None else to_int16(self._converter.convert(block.astype(np.float32))))

    def flush(self) -> None:
        """Writes what the converter holds back."""
        if self._converter is not None and self._converter.held_s:
            self._put(to_int16(self._converter.flush()))

    def delay_s(self) -> float:
        """Seconds of sound in the converter, in the device's buffer and, if the device reports it, beyond the buffer.

        Raises:
            SpeakerError: The device does not answer, so what it held was not heard.
        """
        if self._pcm is None:
            return 0.0
        held_s = self._converter.held_s if self._converter else 0.0
        return held_s + self._ask(self._pcm.delay) / self._pcm.format.rate_hz

    def drain(self) -> None:
        """Waits until everything has been heard. The next write starts the device again."""
        self.flush()
        pcm = self._open_pcm()
        try:
            pcm.drain()
        except OSError as error:
            raise self._lost(error) from error

    def drop(self) -> None:
        """Discards what was not heard yet."""
        if self._converter is not None:
            self._converter.clear()
        pcm = self._open_pcm()
        try:
            pcm.drop()
        except OSError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Closes the card."""
        pcm, self._pcm, self._converter = self._pcm, None, None
        if pcm is not None:
            pcm.close()

    def away(self) -> str | None:
        """Returns a sentence if the library or /proc shows that the card was unplugged while nothing was written."""
        if sound_cards.is_gone(self.name) or (self._pcm is not None and self._pcm.disconnected()):
            return f"the sound device {self.name} is away"
        return None

    def _put(self, samples: Samples) -> None:
        pcm = self._open_pcm()
        data = np.repeat(samples.astype("<i2"), pcm.format.channels).tobytes()
        failures = 0
        self._wait_for_room(pcm, len(samples))
        if pcm.underrun:
            self.underruns += 1
            pcm.underrun = False
        while data:
            try:
                taken = pcm.write(data)
                if taken == 0 and not pcm.wait(_WRITE_TIMEOUT_S):
                    raise SpeakerError(f"the sound device {self.name} takes no sound")
                data = data[2 * pcm.format.channels * taken :]
            except OSError as error:
                failures += 1
                if error.errno not in (errno.EPIPE, errno.ESTRPIPE) or failures == _MAX_FAILURES:
                    raise self._lost(error) from error
                self._recover(pcm)

    def _wait_for_room(self, pcm: Pcm, new_frames: int) -> None:
        """Limits the fill level of a device whose buffer is longer than requested, so that a stop takes hold soon."""
        form = pcm.format
        max_frames = max(int(_PERIODS * _PERIOD_S * form.rate_hz), 2 * form.period)
        if form.buffer > max_frames and (ahead := self._ask(pcm.queued) + new_frames - max_frames) > 0:
            time.sleep(ahead / form.rate_hz)

    def _ask(self, count: Callable[[], int]) -> int:
        """Calls `count` and returns its frames. Raises SpeakerError if the device does not answer."""
        try:
            return count()
        except OSError as error:
            raise self._lost(error) from error

    def _recover(self, pcm: Pcm) -> None:
        """Prepares the device again after an underrun or a suspend. ALSA did not take what was to be written."""
        self.underruns += 1
        try:
            pcm.prepare()
        except OSError as error:
            raise self._lost(error) from error

    def _open_pcm(self) -> Pcm:
        if self._pcm is None:
            raise SpeakerError(f"the sound device {self.name} is not open")
        return self._pcm

    def _lost(self, error: OSError) -> SpeakerError:
        return SpeakerError(f"the sound device {self.name} was lost: {error.strerror}")

    def _refused(self, error: OSError) -> str:
        if error.errno == errno.EBUSY:
            holder = sound_cards.holder(self.name) or "another program"
            fix = "systemctl stop ishowtts" if holder.startswith(sound_cards.OWN_DAEMON) else "end that program"
            return f"the sound device {self.name} is busy, {holder} holds it; {fix} first"
        closed = error.errno if error.errno in (errno.EACCES, errno.EPERM) else sound_cards.access_error(self.name)
        if closed == errno.EPERM:
            # systemd looks at the start which classes of devices there are, and the driver of this card came later.
            return f"systemd keeps the sound device {self.name} from the service; run: sudo systemctl restart ishowtts"
        if closed == errno.EACCES:
            return f"the sound device {self.name} is closed to this user; use sudo, or join the group audio"
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            return f"the sound device {self.name} is not there; see `ishowtts devices`"
        return f"the sound device {self.name} cannot be opened: {error.strerror}; see `ishowtts devices`"

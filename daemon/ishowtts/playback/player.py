"""The player: one thread that writes clips to the sound device in short blocks, and stops within 50 ms."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ishowtts.errors import SpeakerError
from ishowtts.limits import VOLUME
from ishowtts.model import Samples
from ishowtts.playback import Speaker, volume_gain
from ishowtts.playback.audibility import Silence, SilentCause
from ishowtts.playback.output_device import DeviceTiming, OutputDevice, default_timing
from ishowtts.playback.playback_buffer import ClipEnding, PlaybackBuffer, PlaybackClip, Playing
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.util.callbacks import no_op
from ishowtts.util.samples import FloatPcm, resample

log = logging.getLogger(__name__)

_MAINTAIN_S = 1.0
_AUDIBLE: frozenset[Silence] = frozenset()
_LINE_VOLUME_0 = Silence(SilentCause.VOLUME_0, "the volume of this line is 0")
_MUTED, _VOLUME_0, _SILENT_DEVICE = map(
    Silence.by, (SilentCause.MUTED, SilentCause.VOLUME_0, SilentCause.SILENT_DEVICE)
)


@dataclass(frozen=True)
class SoundStatus:
    """State of the sound output.

    Args:
        device: Name of the device in use, or of the one that is to be opened next.
        underruns: How often a device ran out of samples while it was playing.
        device_losses: How often a device was lost.
        lost: Why nothing can be heard; `None` while a device is available.
        lateness_max_s: The longest time between the end of one write and the next one.
        substitute_reason: Why the substitute is in use instead of the configured device; `None` while it is not.
        card_silence: Why the card's own mixer lets no sound through; `None` if it does, or if that is unknown.
    """

    device: str
    underruns: int
    device_losses: int
    lost: str | None
    lateness_max_s: float
    substitute_reason: str | None = None
    card_silence: Silence | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with the sound; `None` if nothing is."""
        card = self.card_silence.sentence if self.card_silence and not self.lost else None
        return "; ".join(fault for fault in (self.lost or self.substitute_reason, card) if fault) or None


class Player:
    """Plays clips in order, without a gap between them.

    The thread `playback` shares only short critical sections with other threads. It never waits for a synthesis or a
    disk.

    Args:
        speaker: The configured device.
        substitute: The device in use while `speaker` is away; `None` means that every clip is lost then.
        timing_of: Returns the timing of a device from its name.
        rate_hz: Sample rate of the output. Clips of other rates are resampled (soxr) in `play`.
        block_s: Length of one write. The gain changes over one block.
        on_change: Called by the player's thread when a clip ends or the device comes or goes.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        substitute: Speaker | None = None,
        timing_of: Callable[[str], DeviceTiming] = default_timing,
        rate_hz: int = 24_000,
        block_s: float = 0.01,
        on_change: Callable[[], None] = no_op,
    ) -> None:
        self._output = OutputDevice(speaker, substitute, timing_of)
        self.rate_hz = rate_hz
        self._on_change = on_change
        self._changed = threading.Condition()
        block = int(rate_hz * block_s)
        self._buffer = PlaybackBuffer(block)
        self._silence = np.zeros(block, np.int16)
        self._volume = 100
        self._hardware_volume = False
        self._card_silence: Silence | None = None
        self._muted = self._paused = self._closing = False
        self._lateness_max_s = 0.0
        self._due_at = time.monotonic()
        self._last_step_at = time.monotonic()
        self._heard_at: float | None = None  # of the next sample that is written; None if the device must be asked
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    @property
    def volume(self) -> int:
        """Volume of the appliance, 0 to 100."""
        return self._volume

    @property
    def muted(self) -> bool:
        """Whether clips are played silently."""
        return self._muted

    def start(self) -> None:
        """Starts the thread. It opens the device, and tries again while the device is away."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def overdue_s(self) -> float:
        """Seconds since the thread began its present step, which is one block or a wait of at most a second."""
        return time.monotonic() - self._last_step_at

    def close(self, timeout_s: float) -> None:
        """Stops all clips and closes the device. Leaves a device that hangs to its thread after `timeout_s`."""
        with self._changed:
            self._closing = True
            self._buffer.stop()
            if not self._thread.is_alive():
                self._buffer.end_all("stopped")
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def play(
        self,
        samples: Samples | FloatPcm,
        rate_hz: int,
        *,
        volume: int | None = None,
        seam_s: float = 0.0,
        fade_out_s: float = 0.0,
    ) -> Playing:
        """Queues a clip after those that are playing, and returns at once.

        Args:
            samples: [n] on the scale of int16.
            rate_hz: Sample rate of the clip.
            volume: Volume of this clip, 0 to 100; `None` plays it at the player's volume. If the player's volume is 0,
                every clip is silent.
            seam_s: Length of the cross-fade with the clip before, as far as that one has not gone to the device.
            fade_out_s: Length of the fade at the end of the clip before, if there is no cross-fade.
        """
        clip = PlaybackClip(resample(samples, rate_hz, self.rate_hz).astype(np.float32), volume)
        with self._changed:
            if self._closing:
                clip.playing.end("stopped")
                return clip.playing
            if self._buffer.idle(self._paused):
                self._due_at = time.monotonic()
            overlap = self._buffer.add(clip, int(seam_s * self.rate_hz), int(fade_out_s * self.rate_hz))
            clip.playing.overlap_s = overlap / self.rate_hz
            self._changed.notify()
        return clip.playing

    def stop(self) -> None:
        """Stops all clips that are playing or waiting, with a fade of half a block. Later clips are played."""
        with self._changed:
            self._buffer.stop()
            self._changed.notify()

    def pause(self) -> None:
        """Fades out and holds the clips until `resume`."""
        self._set(paused=True)

    def resume(self) -> None:
        """Continues from where `pause` held the clips."""
        self._set(paused=False)

    def set_muted(self, muted: bool) -> None:
        """Plays clips silently, or audibly again."""
        self._set(muted=muted)

    def set_volume(self, volume: int) -> None:
        """Sets the volume, 0 to 100 on the curve of `volume_gain.gain_of`. It applies from the next block."""
        with self._changed:
            self._volume = max(VOLUME[0], min(VOLUME[1], volume))

    def set_timing(self, timing_of: Callable[[str], DeviceTiming]) -> None:
        """Takes the timing of the devices from another function, once nothing is playing."""
        self._output.set_timing(timing_of)

    def set_substitute(self, substitute: Speaker | None) -> None:
        """Takes another substitute device, once nothing is playing."""
        self._output.set_substitute(substitute)

    def set_hardware_volume(self, active: bool) -> None:
        """Tells whether the card's mixer applies the volume. If so, the player applies only the rest in software."""
        with self._changed:
            self._hardware_volume = active

    def set_card_silence(self, silence: Silence | None) -> None:
        """Tells why the card's own mixer lets no sound through; `None` if it does."""
        changed = silence != self._card_silence
        self._card_silence = silence
        if changed:
            self._on_change()

    def silences(self, clip_volume: int | None = None) -> frozenset[Silence]:
        """Returns why a clip that is played now cannot be heard; empty if it can, as far as is known.

        Args:
            clip_volume: Volume of the clip, 0 to 100; `None` if it has none of its own.
        """
        causes = [self._card_silence] if self._card_silence else []
        if (lost := self._output.lost) is not None:
            causes.append(Silence(SilentCause.NO_DEVICE, lost))
        if self._muted:
            causes.append(_MUTED)
        if self._volume <= 0:
            causes.append(_VOLUME_0)
        elif clip_volume == 0:
            causes.append(_LINE_VOLUME_0)
        if self._output.name == SilentSpeaker.name:
            causes.append(_SILENT_DEVICE)
        return frozenset(causes) if causes else _AUDIBLE

    def status(self) -> SoundStatus:
        """Returns the present state of the sound output."""
        output = self._output
        return SoundStatus(
            output.name,
            output.underruns,
            output.losses,
            output.lost,
            self._lateness_max_s,
            output.substitute_reason,
            self._card_silence,
        )

    def _set(self, *, paused: bool | None = None, muted: bool | None = None) -> None:
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._muted = self._muted if muted is None else muted
            self._due_at = time.monotonic() if paused is False else self._due_at
            self._changed.notify()

    # All methods below run on the player's thread.

    def _run(self) -> None:
        while not self._closing:
            try:
                self._open()
                while not self._closing:
                    self._step()
            except SpeakerError as error:
                retry_s = self._output.mark_failed(str(error))
                self._end_all("lost")
                self._output.release()  # last: a sound server that hangs may block this
                self._wait_for_retry(retry_s)
        self._end_all("stopped")
        self._output.release()

    def _open(self) -> None:
        before = self._output.lost, self._output.substitute_reason
        self._output.open(self.rate_hz)
        self._heard_at = None
        self._due_at = time.monotonic()
        if before != (self._output.lost, self._output.substitute_reason):
            self._on_change()

    def _step(self) -> None:
        """Writes one block, or waits for something to write."""
        self._last_step_at = time.monotonic()
        if self._nothing_to_play():
            self._heard_at = None
            self._idle()
            return
        if self._output.released:
            self._open()
        heard_at = self._ask_heard_at() if self._heard_at is None else self._heard_at
        with self._changed:
            block = self._next_block(heard_at)
        if block is None:
            self._output.flush()
        else:
            self._lateness_max_s = max(self._lateness_max_s, time.monotonic() - self._due_at)
            self._output.write(block)
            self._due_at = time.monotonic()
            heard_at += len(block) / self.rate_hz
        with self._changed:
            unheard = self._buffer.unheard
        if unheard:
            heard_at = self._ask_heard_at()
        self._heard_at = None if block is None else heard_at
        with self._changed:
            ended = self._buffer.end_heard(time.monotonic(), heard_at)
        if ended:
            self._on_change()
        if block is None:
            self._wait_for_the_end()

    def _ask_heard_at(self) -> float:
        """Asks the device when a sample that is written now will be heard, in monotonic seconds.

        Called without the lock, because the device may hang and must not block other threads. Called only when needed:
        each call gives the interpreter's lock to a busy thread, and gets it back milliseconds later.
        """
        return time.monotonic() + self._output.delay_s()

    def _next_block(self, heard_at: float) -> Samples | None:
        """Returns a block of the clips, or of the silence that wakes the device before them."""
        if not self._buffer.idle(self._paused) and not self._buffer.stopping and self._output.needs_lead_in():
            return self._silence
        if not self._paused:
            self._buffer.note_output(self._output.name, self.silences)
        return self._buffer.next_block(self._gain_for, self._paused, heard_at)

    def _nothing_to_play(self) -> bool:
        with self._changed:
            return self._buffer.idle(self._paused) and self._buffer.last_ends_at() is None

    def _wait_for_the_end(self) -> None:
        """Waits until there is something to write, or the last sample has been heard."""
        with self._changed:
            ends_at = self._buffer.last_ends_at()
            if ends_at is not None and self._buffer.idle(self._paused) and not self._closing:
                self._changed.wait(max(0.0, ends_at - time.monotonic()))

    def _idle(self) -> None:
        """Maintains the device, then waits until there is something to write."""
        if self._output.maintain():
            self._on_change()
        with self._changed:
            if self._buffer.idle(self._paused) and not self._closing:
                self._changed.wait(_MAINTAIN_S)

    def _gain_for(self, clip_volume: int | None) -> float:
        """Returns the gain that software applies to a clip with this volume of its own."""
        if self._muted:
            return 0.0
        return volume_gain.clip_gain(self._volume, clip_volume, hardware_volume=self._hardware_volume)

    def _end_all(self, ending: ClipEnding) -> None:
        with self._changed:
            self._buffer.end_all(ending)
        self._on_change()

    def _wait_for_retry(self, duration_s: float) -> None:
        """Waits before the next try. Clips that arrive are lost at once, so that their line waits instead."""
        deadline = time.monotonic() + duration_s
        while not self._closing and (left_s := deadline - time.monotonic()) > 0:
            self._last_step_at = time.monotonic()
            with self._changed:
                if self._buffer.idle(paused=False) and not self._closing:
                    self._changed.wait(left_s)
            self._end_all("lost")

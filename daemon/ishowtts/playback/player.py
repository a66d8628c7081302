"""The player: one thread that feeds the sound device in short blocks, and stops within 50 ms when told to."""

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
from ishowtts.playback.output_device import DeviceTiming, OutputDevice, plain
from ishowtts.playback.playback_buffer import ClipEnding, PlaybackBuffer, PlaybackClip, Playing
from ishowtts.util.callbacks import no_op
from ishowtts.util.samples import FloatPcm, resample

log = logging.getLogger(__name__)

_LOOK_S = 1.0


@dataclass(frozen=True)
class SoundStatus:
    """How the sound is.

    Args:
        device: what speaks, or would.
        lost: why nothing can be heard; `None` while something can.
        trouble: why another device speaks than the one that is configured.
    """

    device: str
    underruns: int
    device_losses: int
    lost: str | None
    lateness_max_s: float
    trouble: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with the sound; `None`: nothing."""
        return self.lost or self.trouble


class Player:
    """Plays clips one behind the other, without a gap.

    The thread shares only short critical sections with others: it never waits for a synthesis or a disk.

    Args:
        spare: speaks while `speaker` is away; `None`: nobody does, and every clip is lost meanwhile.
        habits: of a device, by its name.
        rate_hz: of what is written; clips of other rates are resampled (soxr) as they are handed over.
        block_s: what is written at a time; a level changes over one block.
        on_change: called, from the player's thread, when a clip ends or the device comes or goes.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        spare: Speaker | None = None,
        habits: Callable[[str], DeviceTiming] = plain,
        rate_hz: int = 24_000,
        block_s: float = 0.01,
        on_change: Callable[[], None] = no_op,
    ) -> None:
        self._outlet = OutputDevice(speaker, spare, habits)
        self.rate_hz = rate_hz
        self._on_change = on_change
        self._changed = threading.Condition()
        block = int(rate_hz * block_s)
        self._reel = PlaybackBuffer(block)
        self._silence = np.zeros(block, np.int16)
        self._volume = 100
        self._by_card = False
        self._muted = self._paused = self._closing = False
        self._lateness_max_s = 0.0
        self._due = time.monotonic()
        self._looked_s = time.monotonic()
        self._heard_at: float | None = None  # the next sample that is written; None where the device is to be asked
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)

    @property
    def volume(self) -> int:
        """0 to 100."""
        return self._volume

    @property
    def muted(self) -> bool:
        """Whether nothing is to be heard."""
        return self._muted

    def start(self) -> None:
        """Open the device, and try again while it is away."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def overdue_s(self) -> float:
        """How long the thread has been at one step, which is a block or a wait of at most a second."""
        return time.monotonic() - self._looked_s

    def close(self, timeout_s: float) -> None:
        """Stop what plays and let go of the device; a device that hangs is left to its thread after `timeout_s`."""
        with self._changed:
            self._closing = True
            self._reel.stop()
            if not self._thread.is_alive():
                self._reel.end_all("stopped")
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def play(
        self, samples: Samples | FloatPcm, rate_hz: int, *, volume: int | None = None, seam_s: float = 0.0
    ) -> Playing:
        """Queue a clip behind what plays; returns at once.

        Args:
            samples: [n] in int16's scale.
            volume: of this clip, 0 to 100; `None`: that of the player. A player at 0 is silent for all.
            seam_s: length of the cross-fade with the clip before, as far as that one has not gone to the device.
        """
        clip = PlaybackClip(resample(samples, rate_hz, self.rate_hz).astype(np.float32), volume)
        with self._changed:
            if self._closing:
                clip.playing.end("stopped")
                return clip.playing
            if self._reel.idle(self._paused):
                self._due = time.monotonic()
            clip.playing.overlap_s = self._reel.add(clip, int(seam_s * self.rate_hz)) / self.rate_hz
            self._changed.notify()
        return clip.playing

    def stop(self) -> None:
        """End all that plays and waits now, with a fade of half a block; what is played later is heard."""
        with self._changed:
            self._reel.stop()
            self._changed.notify()

    def pause(self) -> None:
        """Fade out and hold; what plays goes on at `resume`."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on from where `pause` held."""
        self._set(paused=False)

    def set_muted(self, muted: bool) -> None:
        """Let clips pass unheard, or be heard again."""
        self._set(muted=muted)

    def set_volume(self, volume: int) -> None:
        """0 to 100, on the curve of `volume_gain.gain_of`."""
        with self._changed:
            self._volume = max(VOLUME[0], min(VOLUME[1], volume))

    def leave_volume_to_card(self, card: bool) -> None:
        """Play at full level, for the card sets the volume; or set it here."""
        with self._changed:
            self._by_card = card

    def status(self) -> SoundStatus:
        """How the sound is now."""
        out = self._outlet
        return SoundStatus(out.name, out.underruns, out.losses, out.lost, self._lateness_max_s, out.trouble)

    def _set(self, *, paused: bool | None = None, muted: bool | None = None) -> None:
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._muted = self._muted if muted is None else muted
            self._due = time.monotonic() if paused is False else self._due
            self._changed.notify()

    # The rest runs on the player's thread.

    def _run(self) -> None:
        while not self._closing:
            try:
                self._open()
                while not self._closing:
                    self._step()
            except SpeakerError as error:
                retry_s = self._outlet.lose(str(error))
                self._end_all("lost")
                self._outlet.release()  # last: a server that hangs may hold this up
                self._rest(retry_s)
        self._end_all("stopped")
        self._outlet.release()

    def _open(self) -> None:
        before = self._outlet.lost, self._outlet.trouble
        self._outlet.open(self.rate_hz)
        self._heard_at = None
        self._due = time.monotonic()
        if before != (self._outlet.lost, self._outlet.trouble):
            self._on_change()

    def _step(self) -> None:
        """Write one block, or wait for something to write."""
        self._looked_s = time.monotonic()
        if self._nothing_under_way():
            self._heard_at = None
            self._idle()
            return
        if self._outlet.released:
            self._open()
        heard_at = self._asked() if self._heard_at is None else self._heard_at
        with self._changed:
            block = self._next_block(heard_at)
        if block is None:
            self._outlet.flush()
        else:
            self._lateness_max_s = max(self._lateness_max_s, time.monotonic() - self._due)
            self._outlet.write(block)
            self._due = time.monotonic()
            heard_at += len(block) / self.rate_hz
        with self._changed:
            unheard = self._reel.unheard
        if unheard:
            heard_at = self._asked()
        self._heard_at = None if block is None else heard_at
        with self._changed:
            ended = self._reel.end_heard(time.monotonic(), heard_at)
        if ended:
            self._on_change()
        if block is None:
            self._wait_for_the_end()

    def _asked(self) -> float:
        """When a sample that is written now will be heard.

        The device is asked outside of the lock: it may hang, and nobody else shall. And no oftener than needed: each
        call hands the interpreter's lock to whichever thread is busy, and gets it back milliseconds later.
        """
        return time.monotonic() + self._outlet.delay_s()

    def _next_block(self, heard_at: float) -> Samples | None:
        """Of what is to be heard, or of the silence that wakes the device before it."""
        if not self._reel.idle(self._paused) and not self._reel.stopping and self._outlet.waking():
            return self._silence
        return self._reel.next_block(self._level, self._paused, heard_at)

    def _nothing_under_way(self) -> bool:
        with self._changed:
            return self._reel.idle(self._paused) and self._reel.last_ends_at() is None

    def _wait_for_the_end(self) -> None:
        """Until there is something to write, or the last sample has been heard."""
        with self._changed:
            ends_at = self._reel.last_ends_at()
            if ends_at is not None and self._reel.idle(self._paused) and not self._closing:
                self._changed.wait(max(0.0, ends_at - time.monotonic()))

    def _idle(self) -> None:
        """Let the device rest, and look after it, until there is something to write."""
        if self._outlet.tend():
            self._on_change()
        with self._changed:
            if self._reel.idle(self._paused) and not self._closing:
                self._changed.wait(_LOOK_S)

    def _level(self, volume: int | None) -> float:
        """In software, of a clip with this volume of its own."""
        return 0.0 if self._muted else volume_gain.level(self._volume, volume, by_card=self._by_card)

    def _end_all(self, ending: ClipEnding) -> None:
        with self._changed:
            self._reel.end_all(ending)
        self._on_change()

    def _rest(self, duration_s: float) -> None:
        """Before the next try; what comes meanwhile is lost at once, so that its line waits instead."""
        deadline = time.monotonic() + duration_s
        while not self._closing and (left_s := deadline - time.monotonic()) > 0:
            self._looked_s = time.monotonic()
            with self._changed:
                if self._reel.idle(paused=False) and not self._closing:
                    self._changed.wait(left_s)
            self._end_all("lost")

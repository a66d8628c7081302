"""The player: one thread that feeds the sound device in short blocks, and stops within 50 ms when told to."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from ishowtts.errors import SpeakerError
from ishowtts.playback import Speaker
from ishowtts.playback.levels import gain_of, ramp
from ishowtts.speech import Samples

log = logging.getLogger(__name__)

Ending = Literal["finished", "stopped", "lost"]
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 2.0
_IDLE_S = 5.0


def _nobody() -> None:
    """Nobody listens."""


class Playing:
    """A sound on its way; any thread may look at it."""

    def __init__(self) -> None:
        self.started_at: float | None = None
        """When its first sample was or will be heard, in monotonic seconds; `None` before it went to the device."""
        self._ended = threading.Event()
        self._ending: Ending | None = None

    def wait(self, timeout_s: float) -> Literal["playing", "finished", "stopped", "lost"]:
        """How it stands after at most `timeout_s`."""
        if timeout_s > 0:
            self._ended.wait(timeout_s)
        return self._ending or "playing"

    def end(self, ending: Ending) -> None:
        """The player's word: it is over."""
        if self._ending is None:
            self._ending = ending
            self._ended.set()


@dataclass(frozen=True)
class SoundStatus:
    """How the sound is: `lost` says why the device is away."""

    device: str
    underruns: int
    device_losses: int
    lost: str | None
    lateness_max_s: float


@dataclass
class _Clip:
    samples: NDArray[np.float32]
    playing: Playing
    at: int = 0
    ends_at: float = 0.0


class Player:
    """Plays clips one behind the other, without a gap.

    The thread shares only short critical sections with others: it never waits for a synthesis or a disk.

    Args:
        rate_hz: of the device; clips of other rates are resampled (soxr) as they are handed over.
        block_s: what is written at a time; a level changes over one block.
        on_change: called, from the player's thread, when a clip ends or the device comes or goes.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        rate_hz: int = 24_000,
        block_s: float = 0.01,
        on_change: Callable[[], None] = _nobody,
    ) -> None:
        self._speaker = speaker
        self._rate_hz = rate_hz
        self._block = int(rate_hz * block_s)
        self._on_change = on_change
        self._changed = threading.Condition()
        self._clips: deque[_Clip] = deque()
        self._unheard: deque[_Clip] = deque()  # written, and still in the device
        self._volume = 100
        self._muted = self._paused = self._stopping = self._closing = False
        self._level = 0.0
        self._lost: str | None = None
        self._losses = 0
        self._lateness_max_s = 0.0
        self._due = time.monotonic()
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

    def close(self, timeout_s: float) -> None:
        """Stop what plays and let go of the device."""
        with self._changed:
            self._closing = self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def play(self, samples: Samples, rate_hz: int, *, gain: float = 1.0) -> Playing:
        """Queue a clip behind what plays; returns at once."""
        clip = _Clip(self._prepared(samples, rate_hz, gain), Playing())
        with self._changed:
            if not self._clips:
                self._due = time.monotonic()
            self._clips.append(clip)
            self._changed.notify()
        return clip.playing

    def stop(self) -> None:
        """End all that plays and waits, with a fade of one block."""
        with self._changed:
            if self._clips:
                self._stopping = True
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
        """0 to 100, on the curve of `levels.gain_of`."""
        with self._changed:
            self._volume = max(0, min(100, volume))

    @staticmethod
    def gain_of(volume: int) -> float:
        """The `gain` that plays a clip at a volume of its own."""
        return gain_of(volume)

    def status(self) -> SoundStatus:
        """How the sound is now."""
        underruns = int(getattr(self._speaker, "underruns", 0))
        return SoundStatus(self._speaker.name, underruns, self._losses, self._lost, self._lateness_max_s)

    def _set(self, *, paused: bool | None = None, muted: bool | None = None) -> None:
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._muted = self._muted if muted is None else muted
            self._due = time.monotonic() if paused is False else self._due
            self._changed.notify()

    def _prepared(self, samples: Samples, rate_hz: int, gain: float) -> NDArray[np.float32]:
        sound = samples.astype(np.float32)
        if rate_hz != self._rate_hz:
            sound = soxr.resample(sound, rate_hz, self._rate_hz).astype(np.float32)
        return sound if gain == 1.0 else sound * np.float32(gain)

    # The rest runs on the player's thread.

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._closing:
            try:
                self._speaker.open(self._rate_hz)
                self._device(None)
                retry_s = _FIRST_RETRY_S
                while not self._closing:
                    self._step()
            except SpeakerError as error:
                self._device(str(error))
                self._speaker.close()
                self._rest(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        self._end_all("stopped")
        self._speaker.close()

    def _step(self) -> None:
        """Write one block, or wait for something to write."""
        with self._changed:
            if self._stopping and self._level == 0.0:
                self._end_clips("stopped")
            block = self._next_block() if self._clips and not (self._paused and self._level == 0.0) else None
        if block is not None:
            self._lateness_max_s = max(self._lateness_max_s, time.monotonic() - self._due)
            self._speaker.write(block)
            self._due = time.monotonic()
        self._finish_heard()
        if block is None:
            self._wait()

    def _next_block(self) -> Samples:
        """Up to a block of samples, across the seam of clips, at its level."""
        parts: list[NDArray[np.float32]] = []
        room = self._block
        while self._clips and room > 0:
            clip = self._clips[0]
            if clip.playing.started_at is None:
                clip.playing.started_at = time.monotonic() + self._speaker.delay_s()
                self._level = self._target() if not self._unheard else self._level
            part = clip.samples[clip.at : clip.at + room]
            parts.append(part)
            clip.at += len(part)
            room -= len(part)
            if clip.at >= len(clip.samples):
                self._unheard.append(self._clips.popleft())
        start, self._level = self._level, 0.0 if self._stopping or self._paused else self._target()
        if self._stopping:
            self._end_clips("stopped")
        return ramp(np.concatenate(parts), start, self._level)

    def _finish_heard(self) -> None:
        """A clip is finished when its last sample has left the device."""
        if not self._unheard:
            return
        heard_at = time.monotonic() + self._speaker.delay_s()
        for clip in self._unheard:
            clip.ends_at = clip.ends_at or heard_at
        while self._unheard and self._unheard[0].ends_at <= time.monotonic():
            self._unheard.popleft().playing.end("finished")
            self._on_change()

    def _wait(self) -> None:
        """Until there is something to write, or the last sample has been heard; then the device rests."""
        with self._changed:
            if self._closing or self._stopping or (self._clips and not self._paused):
                return
            ends_at = self._unheard[-1].ends_at if self._unheard else None
            if ends_at is not None:
                self._changed.wait(max(0.0, ends_at - time.monotonic()))
                return
        self._speaker.drain()
        with self._changed:
            if not (self._closing or self._stopping or (self._clips and not self._paused)):
                self._changed.wait(_IDLE_S)

    def _target(self) -> float:
        return 0.0 if self._muted else gain_of(self._volume)

    def _end_clips(self, ending: Ending) -> None:
        self._stopping = False
        while self._clips:
            self._clips.popleft().playing.end(ending)

    def _end_all(self, ending: Ending) -> None:
        with self._changed:
            self._end_clips(ending)
            while self._unheard:
                self._unheard.popleft().playing.end(ending)
        self._on_change()

    def _device(self, lost: str | None) -> None:
        """Note that the device went or came back; what was under way is lost, and its line goes on later."""
        if lost is not None:
            self._end_all("lost")
        if lost == self._lost:
            return
        if lost is None:
            log.info("the sound device %s is back", self._speaker.name)
        elif self._lost is None:
            self._losses += 1
            log.error("%s", lost)
        self._lost = lost
        self._on_change()

    def _rest(self, duration_s: float) -> None:
        """Before the next try; what comes meanwhile is lost at once, so that its line waits instead."""
        deadline = time.monotonic() + duration_s
        while not self._closing and (left_s := deadline - time.monotonic()) > 0:
            with self._changed:
                if not self._clips and not self._closing:
                    self._changed.wait(left_s)
            self._end_all("lost")

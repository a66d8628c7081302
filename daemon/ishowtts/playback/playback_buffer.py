"""What is to be played, in order, and at which level: arithmetic without a thread or a device."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ishowtts.model import Samples
from ishowtts.playback.volume_gain import ramp
from ishowtts.util.crossfade import cross_fade

ClipEnding = Literal["finished", "stopped", "lost"]


class Playing:
    """A sound on its way; any thread may look at it."""

    def __init__(self) -> None:
        self.started_at: float | None = None
        """When its first sample was or will be heard, in monotonic seconds; `None` before it went to the device."""
        self.overlap_s = 0.0
        """How much of its beginning is mixed into the end of the clip before."""
        self._ended = threading.Event()
        self._ending: ClipEnding | None = None

    def wait(self, timeout_s: float) -> Literal["playing", "finished", "stopped", "lost"]:
        """How it stands after at most `timeout_s`."""
        if timeout_s > 0:
            self._ended.wait(timeout_s)
        return self._ending or "playing"

    def end(self, ending: ClipEnding) -> None:
        """The player's word: it is over."""
        if self._ending is None:
            self._ending = ending
            self._ended.set()


@dataclass
class PlaybackClip:
    """Samples at the device's rate, which a seam may change, and how far they have gone to the device.

    `volume`: of its own, 0 to 100.
    """

    samples: NDArray[np.float32]
    volume: int | None = None
    playing: Playing = field(default_factory=Playing)
    at: int = 0
    ends_at: float | None = None

    def take(self, count: int) -> NDArray[np.float32]:
        """The next samples, at most `count`."""
        part = self.samples[self.at : self.at + count]
        self.at += len(part)
        return part

    @property
    def left(self) -> int:
        """Samples that have not gone to the device."""
        return len(self.samples) - self.at

    @property
    def taken(self) -> bool:
        """Whether all of it has gone to the device."""
        return self.left <= 0


class PlaybackBuffer:
    """Clips one behind the other, cut into full blocks across their seams. Its owner sees to the threads.

    A clip waits, then is unheard (written, and still in the device), then finished; `stop` takes it out of either.

    Args:
        block: samples a block; a level changes over one block.
    """

    def __init__(self, block: int) -> None:
        self._block = block
        self._waiting: deque[PlaybackClip] = deque()
        self._unheard: deque[PlaybackClip] = deque()
        self._stopping: deque[PlaybackClip] = deque()
        # Of the last sample that was cut; 0 when nothing is under way, so that nothing needs to fade.
        self._level = 0.0
        self._ended = False

    def add(self, clip: PlaybackClip, overlap: int = 0) -> int:
        """Queue a clip; where one waits before it, cross-fade their seam.

        The mixed sound belongs to the clip before: what is cut off in a seam goes on from there, and nothing is lost.

        Args:
            overlap: samples of the cross-fade.

        Returns:
            How many were mixed: at most half of either clip, and what has not gone to the device; 0 where nothing is
            left of the clip before, so that they stand one behind the other.
        """
        mixed = 0
        if self._waiting:
            before = self._waiting[-1]
            mixed = min(overlap, before.left, len(before.samples) // 2, len(clip.samples) // 2)
            if mixed > 0:
                before.samples[-mixed:] = cross_fade(before.samples[-mixed:], clip.samples[:mixed])
                clip.samples = clip.samples[mixed:]
        self._waiting.append(clip)
        return mixed

    def stop(self) -> None:
        """Let what is here now end, and nothing that comes later."""
        for clips in (self._unheard, self._waiting):
            self._stopping.extend(clips)
            clips.clear()

    @property
    def stopping(self) -> bool:
        """Whether something was stopped and has not been ended yet."""
        return bool(self._stopping)

    @property
    def unheard(self) -> bool:
        """Whether a clip stands in the device to its end."""
        return bool(self._unheard)

    def idle(self, paused: bool) -> bool:
        """Whether there is nothing to cut: all has been cut, or a pause holds and its fade is over."""
        return not self._stopping and (not self._waiting or (paused and self._level == 0.0))

    def next_block(self, level_of: Callable[[int | None], float], paused: bool, heard_at: float) -> Samples | None:
        """The next block, its level on the way to that of its clip, or to silence for a pause or a stop.

        Args:
            level_of: the level of a clip with this volume of its own.
            heard_at: when a sample that is written now will be heard, in monotonic seconds.

        Returns:
            A full block, zeros behind the last sample: a device repeats what it holds past the end of its data.
            None when nothing is to be written.
        """
        if self._stopping and (fade := self._fade(heard_at)) is not None:
            return fade
        if self.idle(paused):
            return None
        target = level_of(self._waiting[0].volume)
        if self._waiting[0].at == 0 and self._level == 0.0:
            self._level = target  # the beginning of a clip is its own: only what was cut fades in
        block = self._joined(self._cut(self._waiting, heard_at), 0.0 if paused else target)
        while self._waiting and self._waiting[0].taken:
            self._unheard.append(self._waiting.popleft())
        if not self._waiting:
            self._level = 0.0
        return block

    def end_heard(self, now: float, heard_at: float) -> bool:
        """End the clips whose last sample has left the device; whether any clip ended since it was last asked.

        Args:
            heard_at: when what was written last will have been heard.
        """
        for clip in self._unheard:
            clip.ends_at = heard_at if clip.ends_at is None else clip.ends_at
        while self._unheard and (self._unheard[0].ends_at or 0.0) <= now:
            self._end(self._unheard.popleft(), "finished")
        ended, self._ended = self._ended, False
        return ended

    def last_ends_at(self) -> float | None:
        """When all that was written will have been heard; None when it has been."""
        return self._unheard[-1].ends_at if self._unheard else None

    def end_all(self, ending: ClipEnding) -> None:
        """End every clip at once."""
        self.stop()
        self._end_stopping(ending)

    def _fade(self, heard_at: float) -> Samples | None:
        """The last block of what was stopped, and its end; None when it was not sounding.

        Silence stands in its second half: it has waited behind the device's buffer, and is to come soon.
        """
        block = None
        if self._level > 0:
            half = self._block // 2
            sound = np.concatenate(self._cut(self._stopping, heard_at))[:half]
            block = np.zeros(self._block, np.int16)
            block[:half] = ramp(np.pad(sound, (0, half - len(sound))), self._level, 0.0)
        self._end_stopping("stopped")
        return block

    def _end_stopping(self, ending: ClipEnding) -> None:
        self._level = 0.0
        while self._stopping:
            self._end(self._stopping.popleft(), ending)

    def _end(self, clip: PlaybackClip, ending: ClipEnding) -> None:
        clip.playing.end(ending)
        self._ended = True

    def _cut(self, clips: deque[PlaybackClip], heard_at: float) -> list[NDArray[np.float32]]:
        parts = []
        room = self._block
        for clip in clips:
            if room == 0:
                break
            if clip.playing.started_at is None:
                clip.playing.started_at = heard_at
            parts.append(clip.take(room))
            room -= len(parts[-1])
        return parts

    def _joined(self, parts: list[NDArray[np.float32]], level: float) -> Samples:
        start, self._level = self._level, level
        sound = np.concatenate(parts)
        return ramp(np.pad(sound, (0, self._block - len(sound))), start, level)

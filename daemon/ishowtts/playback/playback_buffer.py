"""The playback buffer: clips in order, cut into blocks for the device, each at its gain. No thread and no device."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ishowtts.model import Samples
from ishowtts.playback.audibility import Silence
from ishowtts.playback.volume_gain import apply_gain_ramp
from ishowtts.util.crossfade import cross_fade, raised_cosine

ClipEnding = Literal["finished", "stopped", "lost"]


class Playing:
    """Handle of a clip that was given to the player. Any thread may use it."""

    def __init__(self) -> None:
        self.started_at: float | None = None
        """When its first sample was or will be heard, in monotonic seconds; `None` before it went to the device."""
        self.overlap_s = 0.0
        """How many seconds of its beginning are mixed into the end of the clip before."""
        self.silences: frozenset[Silence] = frozenset()
        """Why it, or a part of it, made no sound."""
        self.devices: tuple[str, ...] = ()
        """Names of the devices to which it went, in order."""
        self._ended = threading.Event()
        self._ending: ClipEnding | None = None

    def wait(self, timeout_s: float) -> Literal["playing", "finished", "stopped", "lost"]:
        """Waits for the end of the clip for at most `timeout_s`, and returns its state."""
        if timeout_s > 0:
            self._ended.wait(timeout_s)
        return self._ending or "playing"

    def end(self, ending: ClipEnding) -> None:
        """Sets the ending. Only the player calls this; the first call wins."""
        if self._ending is None:
            self._ending = ending
            self._ended.set()


@dataclass
class PlaybackClip:
    """Samples to play, and how many of them have gone to the device.

    Attributes:
        samples: Float samples at the device's rate, on the scale of int16. A seam may change them.
        volume: Volume of this clip, 0 to 100; `None` plays it at the player's volume.
        playing: The handle that the caller got.
        position: How many samples have gone to the device.
        ends_at: When the last sample will have been heard, in monotonic seconds; `None` until that is known.
    """

    samples: NDArray[np.float32]
    volume: int | None = None
    playing: Playing = field(default_factory=Playing)
    position: int = 0
    ends_at: float | None = None

    def take(self, count: int) -> NDArray[np.float32]:
        """Returns the next samples, at most `count`, and advances the position."""
        part = self.samples[self.position : self.position + count]
        self.position += len(part)
        return part

    @property
    def remaining(self) -> int:
        """How many samples have not gone to the device."""
        return len(self.samples) - self.position

    @property
    def taken(self) -> bool:
        """Whether all samples have gone to the device."""
        return self.remaining <= 0


class PlaybackBuffer:
    """A queue of clips, cut into full blocks without a gap between the clips. Not thread-safe: the player locks.

    A clip is first waiting, then unheard (all of it is in the device), then finished. `stop` removes it from both.

    Args:
        block: Samples of a block. The gain changes over one block.
    """

    def __init__(self, block: int) -> None:
        self._block = block
        self._waiting: deque[PlaybackClip] = deque()
        self._unheard: deque[PlaybackClip] = deque()
        self._stopping: deque[PlaybackClip] = deque()
        # Gain of the last sample that was cut. 0 if nothing is playing, so that nothing needs to fade.
        self._gain = 0.0
        self._ended = False

    def add(self, clip: PlaybackClip, overlap: int = 0, fade_out: int = 0) -> int:
        """Appends a clip. If another clip waits before it, their seam is cross-faded.

        The mixed samples belong to the clip before: a line that is interrupted in a seam goes on from there, and loses
        nothing.

        Args:
            clip: The clip.
            overlap: Samples of the cross-fade.
            fade_out: Samples at the end of the clip before that fade out if there is no cross-fade, as far as they have
                not gone to the device.

        Returns:
            How many samples were mixed: at most half of either clip, and at most what has not gone to the device. 0 if
            nothing is left of the clip before; then the new clip follows without a cross-fade.
        """
        mixed = 0
        if self._waiting:
            before = self._waiting[-1]
            mixed = min(overlap, before.remaining, len(before.samples) // 2, len(clip.samples) // 2)
            if mixed > 0:
                before.samples[-mixed:] = cross_fade(before.samples[-mixed:], clip.samples[:mixed])
                clip.samples = clip.samples[mixed:]
            elif fade_out > 0:
                end = before.samples[before.position :][-fade_out:]
                end *= raised_cosine(len(end))[::-1]
        self._waiting.append(clip)
        return mixed

    def stop(self) -> None:
        """Stops the clips that are here now, with a fade. Clips that are added later are not affected."""
        for clips in (self._unheard, self._waiting):
            self._stopping.extend(clips)
            clips.clear()

    @property
    def stopping(self) -> bool:
        """Whether clips were stopped whose fade has not been cut yet."""
        return bool(self._stopping)

    @property
    def unheard(self) -> bool:
        """Whether all of a clip has gone to the device, but its end has not been heard yet."""
        return bool(self._unheard)

    def idle(self, paused: bool) -> bool:
        """Whether there is nothing to cut: no clip waits, or a pause holds and its fade is over."""
        return not self._stopping and (not self._waiting or (paused and self._gain == 0.0))

    def next_block(self, gain_for: Callable[[int | None], float], paused: bool, heard_at: float) -> Samples | None:
        """Cuts the next block and applies the volume. Its gain ramps to that of its clip, or to 0 for a pause or stop.

        Args:
            gain_for: Returns the gain of a clip from its own volume.
            paused: Whether the player is paused.
            heard_at: When a sample that is written now will be heard, in monotonic seconds.

        Returns:
            A full block, with zeros after the last sample: a device repeats old samples past the end of its data.
            `None` if there is nothing to write.
        """
        if self._stopping and (fade := self._fade_out(heard_at)) is not None:
            return fade
        if self.idle(paused):
            return None
        target = gain_for(self._waiting[0].volume)
        if self._waiting[0].position == 0 and self._gain == 0.0:
            self._gain = target  # a clip begins at its own gain; only a clip that was interrupted fades in
        block = self._ramped(self._take(self._waiting, heard_at), 0.0 if paused else target)
        while self._waiting and self._waiting[0].taken:
            self._unheard.append(self._waiting.popleft())
        if not self._waiting:
            self._gain = 0.0
        return block

    def note_output(self, device: str, silences_of: Callable[[int | None], frozenset[Silence]]) -> None:
        """Notes on the clip that is cut next to which device it goes, and why it makes no sound there.

        Args:
            device: Name of the device.
            silences_of: Returns the causes of silence for a clip, from its own volume.
        """
        if not self._waiting:
            return
        clip = self._waiting[0]
        clip.playing.silences |= silences_of(clip.volume)
        if device not in clip.playing.devices:
            clip.playing.devices += (device,)

    def end_heard(self, now: float, heard_at: float) -> bool:
        """Ends the clips whose last sample has left the device. Returns whether any clip ended since the last call.

        Args:
            now: The time, in monotonic seconds.
            heard_at: When the sample that was written last will have been heard.
        """
        for clip in self._unheard:
            clip.ends_at = heard_at if clip.ends_at is None else clip.ends_at
        while self._unheard and (self._unheard[0].ends_at or 0.0) <= now:
            self._end(self._unheard.popleft(), "finished")
        ended, self._ended = self._ended, False
        return ended

    def last_ends_at(self) -> float | None:
        """When everything that was written will have been heard; `None` if it has been."""
        return self._unheard[-1].ends_at if self._unheard else None

    def end_all(self, ending: ClipEnding) -> None:
        """Ends every clip at once, without a fade."""
        self.stop()
        self._end_stopping(ending)

    def _fade_out(self, heard_at: float) -> Samples | None:
        """Returns the last block of the stopped clips and ends them; `None` if none of them was playing.

        The second half of the block is silence: the fade waits behind the device's buffer, and must end soon.
        """
        block = None
        if self._gain > 0:
            half = self._block // 2
            sound = np.concatenate(self._take(self._stopping, heard_at))[:half]
            block = np.zeros(self._block, np.int16)
            block[:half] = apply_gain_ramp(np.pad(sound, (0, half - len(sound))), self._gain, 0.0)
        self._end_stopping("stopped")
        return block

    def _end_stopping(self, ending: ClipEnding) -> None:
        self._gain = 0.0
        while self._stopping:
            self._end(self._stopping.popleft(), ending)

    def _end(self, clip: PlaybackClip, ending: ClipEnding) -> None:
        clip.playing.end(ending)
        self._ended = True

    def _take(self, clips: deque[PlaybackClip], heard_at: float) -> list[NDArray[np.float32]]:
        """Takes up to one block of samples from the clips, and notes when each clip starts."""
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

    def _ramped(self, parts: list[NDArray[np.float32]], gain: float) -> Samples:
        """Joins the parts to a full block whose gain ramps from the present one to `gain`."""
        start, self._gain = self._gain, gain
        sound = np.concatenate(parts)
        return apply_gain_ramp(np.pad(sound, (0, self._block - len(sound))), start, gain)

"""How far the current line is: its segment, what was heard of it, and how much is left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ishowtts.model import Utterance, timestamp
from ishowtts.playback.playback_buffer import Playing
from ishowtts.speech.line_synthesis import PlannedSegment


@dataclass(frozen=True)
class SpeechProgress:
    """How far a line was when its current segment began.

    Attributes:
        engine, voice: Those of the segment.
        since: When its sound began, or went on after an interruption (UTC); `None` before.
        segment: Number of the segment, from 1.
        segments: How many segments there are.
        played_s: Seconds of sound before the segment, without what was heard before an interruption.
        left_s: Estimated seconds of sound from the segment on; `None` if unknown.
    """

    engine: str
    voice: str
    since: str | None
    segment: int
    segments: int
    played_s: float
    left_s: float | None


class ProgressMeter:
    """Measures how far one line is. `progress` changes when a segment goes to the player first, and when one begins."""

    def __init__(self) -> None:
        self.progress: SpeechProgress | None = None
        self._sounds: list[tuple[Utterance, float]] = []  # of the segments with the player, with their seconds
        self._bytes = 0  # of their texts
        self._begun: int | None = None  # the last segment that began
        self._since: str | None = None

    def queued(self, segment: PlannedSegment, utterance: Utterance, sound_s: float) -> None:
        """The next segment went to the player.

        Args:
            sound_s: How much longer all of the sound is now, with a chime and without the cross-fade.
        """
        self._sounds.append((utterance, sound_s))
        self._bytes += len(segment.segment.text.encode())

    def follow(self, playing: Playing, index: int, segments: Sequence[PlannedSegment]) -> None:
        """Note which segment is heard now or next.

        Args:
            index: Its index in `segments`.
            segments: All of the line; those after the ones with the player may have been planned again.
        """
        begun = playing.started_at is not None
        if self.progress is not None and (not begun or self._begun == index):
            return
        if playing.started_at is not None:
            self._begun = index
            self._since = self._since or timestamp(time.time() + playing.started_at - time.monotonic())
        utterance, _ = self._sounds[index]
        self.progress = SpeechProgress(
            engine=utterance.engine,
            voice=utterance.voice,
            since=self._since,
            segment=index + 1,
            segments=len(segments),
            played_s=round(sum(seconds for _, seconds in self._sounds[:index]), 2),
            left_s=self._left_s(index, segments),
        )

    def _left_s(self, index: int, segments: Sequence[PlannedSegment]) -> float | None:
        """What is with the player, and an estimate of the rest, at the rate of the speech so far."""
        if not self._bytes:
            return None
        known_s = sum(seconds for _, seconds in self._sounds[index:])
        rest_bytes = sum(len(each.segment.text.encode()) for each in segments[len(self._sounds) :])
        spoken_s = sum(utterance.audio_s for utterance, _ in self._sounds)  # without the chime
        return round(known_s + rest_bytes * spoken_s / self._bytes, 2)

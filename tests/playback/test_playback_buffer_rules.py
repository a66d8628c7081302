"""Rules that hold for the buffer after any sequence of calls."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ishowtts.playback.playback_buffer import PlaybackBuffer, PlaybackClip

BLOCK = 24
HEIGHT = 10_000
STEP = HEIGHT / (BLOCK // 2 - 1) + 1
"""No fade is steeper than from full level to silence over half a block."""
LEVELS = {None: 1.0, 0: 0.0, 30: 0.25, 100: 1.0}


def calls(chance: random.Random) -> Iterator[tuple[Any, ...]]:
    """Yields a random sequence of calls."""
    for _ in range(40):
        what = chance.choices(["add", "stop", "pause", "mute", "block"], [4, 1, 2, 2, 8])[0]
        if what == "add":
            yield (
                "add",
                chance.choice([0, 1, BLOCK, chance.randint(0, 5 * BLOCK)]),
                chance.choice([*LEVELS]),
                chance.randint(0, 60),
            )
        else:
            yield (what,)


class NotingClip(PlaybackClip):
    """A constant clip, so that every change of level comes from the buffer. It records its endings."""

    def __init__(self, count: int, volume: int | None) -> None:
        super().__init__(np.full(count, HEIGHT, np.float32), volume)
        self.endings: list[str] = []
        self.playing.end = self.endings.append  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("seed", range(5))
def test_every_sample_is_cut_once_without_clicks_and_each_clip_ends_once(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        run(calls(chance))


def run(sequence: Iterator[tuple[Any, ...]]) -> None:
    buffer, now_s = PlaybackBuffer(BLOCK), 0.0
    paused = muted = False
    clips: list[NotingClip] = []
    waiting: deque[NotingClip] = deque()
    last = 0
    for what, *how in sequence:
        now_s += 1
        if what == "add":
            clip = NotingClip(how[0], how[1])
            mixed = buffer.add(clip, how[2])
            assert 0 <= mixed <= min(how[2], how[0] // 2)
            assert clip.remaining == how[0] - mixed
            clips.append(clip)
            waiting.append(clip)
        elif what == "stop":
            buffer.stop()
            waiting.clear()
        elif what == "pause":
            paused = not paused
        elif what == "mute":
            muted = not muted
        else:
            fresh = not waiting or waiting[0].position == 0
            left = sum(clip.remaining for clip in waiting)
            idle, stopping = buffer.idle(paused), buffer.stopping
            block = buffer.next_block((lambda _: 0.0) if muted else LEVELS.__getitem__, paused, now_s)
            buffer.end_heard(now_s, now_s + 2)
            assert not (idle and block is not None)
            assert not buffer.stopping
            if block is None:
                assert last == 0, "a sound that was heard is faded out"
                continue
            assert not (paused or muted) or block[-1] == 0
            assert len(block) == BLOCK
            cut = left - sum(clip.remaining for clip in waiting)
            if stopping and cut == 0:
                assert block[-1] == 0, "the fade of the stopped clips"
                jumps = np.abs(np.diff(block[: np.count_nonzero(block)].astype(int), prepend=last))
            else:
                assert cut == min(BLOCK, left), "as many samples as there are"
                assert not block[cut:].any()
                jumps = np.abs(np.diff(block[:cut].astype(int), prepend=block[0] if fresh and cut else last))
            assert not len(jumps) or jumps.max() <= STEP
            while waiting and waiting[0].taken:
                waiting.popleft()
            last = int(block[-1]) if waiting else 0
    buffer.end_all("lost")
    for clip in clips:
        assert len(clip.endings) == 1
        assert clip.endings != ["finished"] or clip.taken

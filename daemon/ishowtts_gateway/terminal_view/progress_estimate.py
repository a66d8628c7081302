"""How far the current line has been spoken: the figures that the board publishes with each segment, continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ishowtts_gateway.appliances.line_log import epoch_s
from ishowtts_gateway.appliances.published_value import number, text

_MAX_CHARS = 1000
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class SpokenNow:
    """The line that is being spoken.

    Attributes:
        text, author, voice, engine: As published; `None` if they are unknown or private.
        segment, segments: From 1.
        played_s: How much of it has been heard.
        total_s: The whole length, as the board estimates it.
    """

    text: str | None = None
    author: str | None = None
    voice: str | None = None
    engine: str | None = None
    segment: int | None = None
    segments: int | None = None
    played_s: float | None = None
    total_s: float | None = None


class ProgressEstimate:
    """Continues the figures of one board between two messages.

    Args:
        monotonic_s, wall_s: Clocks.
    """

    def __init__(
        self, monotonic_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._speaking: dict[str, Any] | None = None
        self._is_first = True
        self._was_paused = False
        self._asked_s = monotonic_s()
        self._continued_s = 0.0  # what was played since the board published its figures

    def now(self, state: Mapping[str, Any] | None) -> SpokenNow | None:
        """The current line according to the newest `state`; `None` if there is none."""
        state = state or {}
        speaking = state.get("speaking")
        now_s = self._monotonic_s()
        if isinstance(speaking, dict) and speaking == self._speaking:
            self._continued_s += 0.0 if self._was_paused or not speaking.get("since") else now_s - self._asked_s
        else:
            self._begin(speaking if isinstance(speaking, dict) else None)
        self._asked_s, self._was_paused = now_s, state.get("paused") is True
        if self._speaking is None:
            return None
        speaking = self._speaking
        played_s, left_s = _seconds(speaking.get("played_s")), _seconds(speaking.get("left_s"))
        total_s = None if played_s is None or left_s is None else played_s + left_s
        if played_s is not None:
            played_s = min(played_s + self._continued_s, _LONGEST_S if total_s is None else total_s)
        return SpokenNow(
            **{name: text(speaking.get(name), _MAX_CHARS) for name in ("text", "author", "voice", "engine")},
            segment=_count(speaking.get("segment")),
            segments=_count(speaking.get("segments")),
            played_s=played_s,
            total_s=total_s,
        )

    def _begin(self, speaking: dict[str, Any] | None) -> None:
        """Take new figures. The first ones of this program may be as old as the first sound: the broker kept them."""
        self._speaking, self._continued_s = speaking, 0.0
        is_first, self._is_first = self._is_first, False
        if speaking is None or not is_first:
            return
        began_s, played_s = epoch_s(text(speaking.get("since"), 40)), _seconds(speaking.get("played_s"))
        if began_s is not None and played_s is not None:
            elapsed_s = self._wall_s() - began_s - played_s
            if 0 < elapsed_s < (_seconds(speaking.get("left_s")) or 0.0):  # else the clocks differ
                self._continued_s = elapsed_s


def _seconds(value: object) -> float | None:
    seconds = number(value)
    return None if seconds is None else min(_LONGEST_S, max(0.0, seconds))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 10_000 else None

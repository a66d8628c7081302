"""How far the current line has been spoken: the figures that the board publishes with each segment, continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ishowtts_gateway.line_log import epoch_s
from ishowtts_gateway.published_value import number, text

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
        self._at_s = 0.0
        self._lead_s = 0.0

    def now(self, state: Mapping[str, Any] | None) -> SpokenNow | None:
        """The current line according to the newest `state`; `None` if there is none."""
        state = state or {}
        speaking = state.get("speaking")
        if not isinstance(speaking, dict):
            self._speaking = None
            return None
        if speaking != self._speaking or state.get("paused") is True:
            self._begin(speaking)
        played_s, left_s = _seconds(speaking.get("played_s")), _seconds(speaking.get("left_s"))
        total_s = None if played_s is None or left_s is None else played_s + left_s
        if played_s is not None:
            played_s += self._lead_s + (self._monotonic_s() - self._at_s if speaking.get("since") else 0.0)
            played_s = min(played_s, _LONGEST_S if total_s is None else total_s)
        return SpokenNow(
            **{name: text(speaking.get(name), _MAX_CHARS) for name in ("text", "author", "voice", "engine")},
            segment=_count(speaking.get("segment")),
            segments=_count(speaking.get("segments")),
            played_s=played_s,
            total_s=total_s,
        )

    def _begin(self, speaking: dict[str, Any]) -> None:
        """Take new figures. If they are the first of this program, they may be as old as the first sound."""
        is_first = self._speaking is None
        self._speaking, self._at_s, self._lead_s = speaking, self._monotonic_s(), 0.0
        began_s, played_s = epoch_s(text(speaking.get("since"), 40)), _seconds(speaking.get("played_s"))
        if is_first and began_s is not None and played_s is not None:
            lead_s = self._wall_s() - began_s - played_s
            self._lead_s = lead_s if 0 < lead_s < (_seconds(speaking.get("left_s")) or 0.0) else 0.0


def _seconds(value: object) -> float | None:
    seconds = number(value)
    return None if seconds is None else min(_LONGEST_S, max(0.0, seconds))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 10_000 else None

"""Decides which appliances can render a text, from what they publish, and which of them is asked first."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ishowtts.text.scripts import base_language

ONLINE = "online"
_RENDERING_STATES = ("starting", "warming", "ready", "speaking", "paused", "degraded")
_CLONING = "f5"  # only F5 speaks in the voices of `info`
_REMOTE = "remote"
_FRESH_POWER = 8
"""A line on a board, or a render of our own, is known at once: a board with one is asked 256 times less often."""
_STALE_OFFSET = 5
"""Renders of others are known from telemetry, which is up to 5 s old: a board with five is asked half as often as one
without any. If all requesters asked the board that had none, renders would wait 4 times as long (100 requesters, 8
boards, 90 % of what they can do; simulated)."""
_PATIENCE = 3.0
"""A slower board is asked only if a render there takes less than so many times what it takes at best."""
_MIN_RTF, _MAX_RTF, _USUAL_RTF = 0.01, 100.0, 0.5
_LEAST_CHANCE = 1e-12
_MAX_COUNT = 1_000_000


@dataclass(frozen=True)
class BoardFacts:
    """What one appliance has published. The objects come from the network: any value in them may be anything.

    Attributes:
        name: Name of the device.
        availability: `online` or `offline`; `None` if unknown.
        state, telemetry, info: The objects as published; empty if unknown.
        own_renders: How many renders of this requester it works on now. Telemetry shows them only later.
    """

    name: str
    availability: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    own_renders: int = 0


def rank_boards(
    boards: Iterable[BoardFacts],
    *,
    voice: str | None = None,
    language: str | None = None,
    chance: Callable[[], float] = random.random,
) -> list[BoardFacts]:
    """The boards that can render a text, the best first.

    A board that speaks it with the engine that it prefers goes before one that does so with another. Among those,
    chance decides: the shorter the queue of a board and the smaller its real-time factor, the more often it is first.

    Args:
        voice: The voice that the text names; `None`: that of the board.
        language: The language of the text; `None`: that of the voice.
        chance: Returns a random number from 0 to 1. If it is always the same, the best board is the first.
    """
    able = [board for board in boards if why_not(board, voice=voice, language=language) is None]
    known = [rtf for board in able if (rtf := recent_rtf(board)) is not None]
    usual_rtf = statistics.median(known) if known else _USUAL_RTF
    groups: dict[tuple[bool, bool], list[_Rated]] = {}
    for board in able:
        drawback = (not _speaks_as_wished(board, voice, language), _is_full(board))
        groups.setdefault(drawback, []).append(_rated(board, recent_rtf(board) or usual_rtf))
    return [board for drawback in sorted(groups) for board in _shuffled(groups[drawback], chance)]


@dataclass(frozen=True)
class _Rated:
    """A board, and what is expected of it.

    Attributes:
        least_cost, cost: Seconds for each second of sound, without and with the renders of others before it.
        weight: How often it is asked, compared with other boards.
    """

    board: BoardFacts
    least_cost: float
    cost: float
    weight: float


def _rated(board: BoardFacts, rtf: float) -> _Rated:
    others = max(0, _told_renders(board) - board.own_renders)
    fresh = 1 + _lines(board) + board.own_renders
    weight = 1 / (rtf * (others + _STALE_OFFSET) * fresh**_FRESH_POWER)
    return _Rated(board, rtf * fresh, rtf * (fresh + others), weight)


def _shuffled(rated: list[_Rated], chance: Callable[[], float]) -> list[BoardFacts]:
    """The boards in random order by their weights, then those that are much slower than the best one."""
    most = _PATIENCE * min(each.cost for each in rated)
    fast = [each for each in rated if each.least_cost <= most]
    slow = sorted((each for each in rated if each.least_cost > most), key=lambda each: each.cost)
    # The smallest of exponential random numbers with these rates: each board is the first in proportion to its weight.
    drawn = sorted(fast, key=lambda each: -math.log(max(chance(), _LEAST_CHANCE)) / each.weight)
    return [each.board for each in (*drawn, *slow)]


def renders_for_others(info: Mapping[str, Any]) -> bool:
    """Whether an appliance takes renders at all, by its `info`. A stage does not: its own boards would make them."""
    return _most_renders(info) > 0 and _REMOTE not in texts_in(info.get("engines"))


def why_not(board: BoardFacts, *, voice: str | None = None, language: str | None = None) -> str | None:
    """Why a board cannot render a text, as the end of a sentence about it; `None` if it can."""
    return next(_obstacles(board, voice, language), None)


def _obstacles(board: BoardFacts, voice: str | None, language: str | None) -> Iterator[str]:
    if board.availability != ONLINE:
        yield "is offline" if board.availability else "has not said that it is online"
    if not board.info or not board.state:
        yield "has not published info and state"
    if _most_renders(board.info) == 0:
        yield "renders nothing for others (limits.renders)"
    if _REMOTE in texts_in(board.info.get("engines")):
        yield "has other boards render its own lines (engine.kind: remote)"
    if board.state.get("state") not in _RENDERING_STATES or not texts_in(board.state.get("engines")):
        yield "has no engine that can speak now"
    if voice is not None and voice not in texts_in(board.info.get("voices")):
        yield f"has no voice {voice}"
    tag = _language(board, voice, language)
    if tag is not None and not _speakers(board, tag, texts_in(board.state.get("engines"))):
        yield f"has no engine that speaks the language {tag} now"


def _speaks_as_wished(board: BoardFacts, voice: str | None, language: str | None) -> bool:
    """Whether the engine that should speak works: F5 if a voice is named, else the first for this language."""
    speakers = _speakers(board, _language(board, voice, language), texts_in(board.info.get("engines")))
    wished = _CLONING if voice is not None else next(iter(speakers), None)
    return wished is not None and wished in texts_in(board.state.get("engines"))


def _speakers(board: BoardFacts, tag: str | None, engines: Iterable[str]) -> list[str]:
    """Those of the engines that speak a language. One whose languages are unknown speaks every one."""
    languages = _object(board.info, "engine_languages")
    found = []
    for engine in engines:
        spoken = [base_language(each) for each in texts_in(languages.get(engine))]
        if tag is None or not isinstance(languages.get(engine), list) or tag in spoken:
            found.append(engine)
    return found


def _language(board: BoardFacts, voice: str | None, language: str | None) -> str | None:
    """The language that decides, without its region: that of the text, else that of the voice."""
    tag = language if language is not None else _text(_object(board.info, "voice_languages").get(voice or ""))
    return base_language(tag) if tag else None


def _lines(board: BoardFacts) -> int:
    """How many lines it has to speak: they go before renders."""
    return _count(board.state.get("queue_depth")) + (1 if board.state.get("speaking") else 0)


def _told_renders(board: BoardFacts) -> int:
    renders = _object(board.telemetry, "renders")
    return _count(renders.get("active")) + _count(renders.get("waiting"))


def _is_full(board: BoardFacts) -> bool:
    return max(_told_renders(board), board.own_renders) >= _most_renders(board.info)


def _most_renders(info: Mapping[str, Any]) -> int:
    return _count(_object(info, "limits").get("renders"))


def recent_rtf(board: BoardFacts) -> float | None:
    """The median real-time factor of its last renders, else of its last lines."""
    for name in ("renders", "speech"):
        value = _object(board.telemetry, name).get("rtf_p50")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(min(_MAX_RTF, max(_MIN_RTF, value)))  # `value` may be a whole number larger than any float
    return None


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def texts_in(value: Any) -> list[str]:
    """The texts of a list that an appliance has published; empty if the value is no list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int:
    """A count; 0 if the value is none."""
    return min(_MAX_COUNT, value) if type(value) is int and value > 0 else 0

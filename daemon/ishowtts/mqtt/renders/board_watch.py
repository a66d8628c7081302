"""Keeps what the boards under the prefix publish, for an appliance whose segments they render. No I/O, no threads."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ishowtts.config import Config
from ishowtts.limits import NAME, RESERVED_NAMES
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.renders.render_boards import BoardFacts, rank_boards, renders_for_others, texts_in, why_not
from ishowtts.text.scripts import base_language
from ishowtts.util.known_names import listed
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

_MOST_BOARDS = 500
_MOST_VOICES = 2000  # of all boards together
_MAX_BYTES = {"availability": 16, "state": 65_536, "telemetry": 65_536, "info": 262_144}
_FIRST_KINDS = ("availability", "info")
_RENDERER_KINDS = ("state", "telemetry")
_ESPEAK = "espeak"
_MOST_TOLD = 3


@dataclass(frozen=True)
class BoardSummary:
    """What is derived from the facts at each change, because the scheduler asks for it 20 times a second.

    Attributes:
        ready: The boards that can render now, in no order.
        problem: Why there is none; `None` if there is one.
        voices: The voices of all boards, with their languages.
        languages: The base languages that the boards speak; `None`: every language, or unknown.
    """

    ready: tuple[BoardFacts, ...] = ()
    problem: str | None = None
    voices: Mapping[str, str | None] = field(default_factory=dict)
    languages: frozenset[str] | None = None


class BoardWatch:
    """The boards that may render for this appliance. One thread calls `take`; any thread may read.

    Args:
        prefix: `mqtt.prefix`.
        own_device: This appliance, which is no board of its own.
        names: The boards that the configuration names; `None`: every appliance that renders.
    """

    def __init__(self, prefix: str, own_device: str, names: Sequence[str] | None) -> None:
        self._prefix = prefix
        self._own_device = own_device
        self._names = None if names is None else tuple(name for name in names if name != own_device)
        self._boards: dict[str, BoardFacts] = {}
        self._faults = RateLimit(1)
        self.summary = BoardSummary(problem=self._none_known())

    @classmethod
    def from_config(cls, config: Config, root: str) -> BoardWatch:
        """Build it from `engine.remote.boards`.

        Args:
            root: `<prefix>/<device>` of this appliance.
        """
        names = config.engine.remote.boards
        return cls(config.mqtt.prefix, root.rpartition("/")[2], None if isinstance(names, str) else names)

    @property
    def first_topics(self) -> tuple[str, ...]:
        """Topic filters that show which boards there are."""
        names = ("+",) if self._names is None else self._names
        return tuple(f"{self._prefix}/{name}/{kind}" for name in names for kind in _FIRST_KINDS)

    @property
    def renderer_topics(self) -> tuple[str, ...]:
        """Topics with the state and the telemetry of the boards that render: of 100 others nobody needs them."""
        renderers = (board.name for board in self._boards.values() if renders_for_others(board.info))
        return tuple(f"{self._prefix}/{name}/{kind}" for name in renderers for kind in _RENDERER_KINDS)

    def forget_states(self) -> None:
        """A new connection: only what the broker sends now is true. The voices stay known."""
        self._boards = {name: BoardFacts(name, info=board.info) for name, board in self._boards.items()}
        self._summarise(voices_changed=False)

    def take(self, topic: str, payload: bytes) -> bool:
        """Take a message of a board. Returns whether the summary has changed. Never raises."""
        name, _, kind = topic.removeprefix(f"{self._prefix}/").partition("/")
        if kind not in _MAX_BYTES or not NAME.fullmatch(name) or name in RESERVED_NAMES or name == self._own_device:
            return False
        board = self._boards.get(name)
        if board is None:
            if len(self._boards) >= _MOST_BOARDS:
                if self._faults.allows():
                    log.warning("there are more than %d appliances; name the boards in engine.remote", _MOST_BOARDS)
                return False
            board = BoardFacts(name)
        changed = _with_value(board, kind, payload)
        if changed is None:
            if self._faults.allows():
                log.warning("the board %s has published %s that cannot be used", name, kind)
            return False
        self._boards[name] = changed
        return self._summarise(voices_changed=kind == "info")

    def obstacles(self) -> dict[str, str]:
        """Return why boards cannot render now, as the end of a sentence about each: those named, else all that may."""
        boards = [
            _natural(board)
            for board in self._boards.values()
            if self._names is not None or renders_for_others(board.info)
        ]
        found = {board.name: why for board in boards if (why := why_not(board)) is not None}
        unseen = {name: "has published nothing here" for name in self._names or () if name not in self._boards}
        return dict(sorted({**found, **unseen}.items()))

    def board(self, name: str) -> BoardFacts | None:
        """Return what is known of a board; `None` if nothing is."""
        return self._boards.get(name)

    def ranked(self, voice: str | None, language: str | None, own_renders: Mapping[str, int]) -> list[BoardFacts]:
        """Return the boards that can render in this voice and language now, best first.

        Args:
            own_renders: How many segments each board renders for this appliance now.
        """
        ready = [replace(board, own_renders=own_renders.get(board.name, 0)) for board in self.summary.ready]
        return rank_boards(ready, voice=voice, language=language)

    def _summarise(self, *, voices_changed: bool) -> bool:
        """Derives the summary again; whether it has changed. All voices of 100 boards are looked at only if need be."""
        before = self.summary
        may_render = [_natural(board) for board in self._boards.values() if renders_for_others(board.info)]
        ready = tuple(board for board in may_render if why_not(board) is None)
        problem = None if ready else self._why_none(sorted(may_render, key=lambda board: board.name))
        voices = _voices(may_render) if voices_changed else before.voices
        languages = _languages(may_render) if voices_changed else before.languages
        self.summary = BoardSummary(ready, problem, voices, languages)
        same_ready = {board.name for board in ready} == {board.name for board in before.ready}
        return not same_ready or (problem, voices, languages) != (before.problem, before.voices, before.languages)

    def _why_none(self, may_render: Sequence[BoardFacts]) -> str:
        if not may_render:
            return self._none_known()
        told = [f"{board.name} {why_not(board)}" for board in may_render[:_MOST_TOLD]]
        more = len(may_render) - len(told)
        return f"no board renders now: {', '.join(told)}{f' and {more} more' if more else ''}; look at their state"

    def _none_known(self) -> str:
        if self._names is None:
            return (
                f"no appliance under {self._prefix}/ renders for others; start one on this broker "
                "whose limits.renders is not 0"
            )
        if not self._names:
            return 'engine.remote.boards names this appliance only; name other appliances, or "+" for all'
        return (
            f"none of the boards of engine.remote.boards ({listed(self._names)}) renders for others; "
            "check the names, and limits.renders there"
        )


def _with_value(board: BoardFacts, kind: str, payload: bytes) -> BoardFacts | None:
    """Returns the facts with a new value; `None` if it cannot be used. An empty payload means that it was removed."""
    if len(payload) > _MAX_BYTES[kind]:
        return None
    try:
        text = payload.decode("utf-8")
        if kind == "availability":
            return replace(board, availability=text or None)
        value = strict_json.loads(text) if text else {}
    except ValueError:
        return None
    changed: dict[str, Any] = {kind: value}
    return replace(board, **changed) if isinstance(value, dict) else None


def _natural(board: BoardFacts) -> BoardFacts:
    """Returns a board without its espeak-ng, unless it has nothing else: that sounds the same here."""
    if all(name == _ESPEAK for name in texts_in(board.info.get("engines"))):
        return board
    info, state = (
        {**facts, "engines": [name for name in texts_in(facts.get("engines")) if name != _ESPEAK]} if facts else facts
        for facts in (board.info, board.state)
    )
    return replace(board, info=info, state=state)


def _voices(boards: Sequence[BoardFacts]) -> dict[str, str | None]:
    """Returns the voices of the boards, with their languages. A language that a board names wins over none."""
    found: dict[str, str | None] = {}
    for board in boards:
        languages = board.info.get("voice_languages")
        for name in texts_in(board.info.get("voices")):
            if NAME.fullmatch(name) and (name in found or len(found) < _MOST_VOICES):
                tag = languages.get(name) if isinstance(languages, dict) else None
                found[name] = found.get(name) or (tag if isinstance(tag, str) and 0 < len(tag) <= 32 else None)
    return found


def _languages(boards: Sequence[BoardFacts]) -> frozenset[str] | None:
    """Returns the languages that the boards speak; `None`: every language, or unknown."""
    found: set[str] = set()
    for board in boards:
        languages = board.info.get("engine_languages")
        for engine in texts_in(board.info.get("engines")):
            spoken = languages.get(engine) if isinstance(languages, dict) else None
            if not isinstance(spoken, list):
                return None
            found |= {base_language(tag) for tag in texts_in(spoken) if len(tag) <= 32}
    return frozenset(found) or None

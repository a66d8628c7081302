"""The engines that exist, by name. The wire carries such a name, never one to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ishowtts.engines import Engine
from ishowtts.errors import EngineError


@dataclass(frozen=True)
class RegisteredEngine:
    """How an engine is made of JSON options, and the rate to expect before it is loaded."""

    make: Callable[[dict[str, Any]], Engine]
    rate_hz: int


def _espeak(options: dict[str, Any]) -> Engine:
    from ishowtts.engines.espeak import EspeakEngine

    return EspeakEngine(**options)


def _f5(options: dict[str, Any]) -> Engine:
    from ishowtts.engines.f5.engine import F5Engine, F5Options

    return F5Engine(F5Options.from_dict(options))


_ENTRIES = {"espeak": RegisteredEngine(_espeak, 22050), "f5": RegisteredEngine(_f5, 24000)}


def find(kind: str) -> RegisteredEngine:
    """The entry of an engine. Raises EngineError for one that does not exist."""
    try:
        return _ENTRIES[kind]
    except KeyError:
        raise EngineError(f"there is no engine {kind!r}; there are {', '.join(sorted(_ENTRIES))}") from None


def make(kind: str, options: dict[str, Any]) -> Engine:
    """An engine, not loaded yet. Options that it does not know raise TypeError or its own error."""
    return find(kind).make(options)

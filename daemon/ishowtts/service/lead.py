"""Which engine leads, and why: `engine.kind` and what is there decide."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from ishowtts.config import Config
from ishowtts.config.schema import EngineSection
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.remote import Deadlines, EngineStatus, RemoteEngine
from ishowtts.engines.voices import VoiceShelf
from ishowtts.engines.weights import Weights, locate
from ishowtts.errors import WeightsError
from ishowtts.pipeline import Cast


@dataclass(frozen=True)
class Lead:
    """The engine that leads.

    Args:
        kind: `f5` or `espeak`.
        why: one sentence for the operator.
        weights: what f5 loads; `None` for espeak, and where f5 was asked for but cannot be.
        trouble: why the engine that was asked for does not speak.
    """

    kind: str
    why: str
    weights: Weights | None = None
    trouble: str | None = None


def choose(config: Config) -> Lead:
    """Take f5 where weights are, else espeak, unless the configuration says which."""
    kind = config.engine.kind
    if kind == "espeak":
        return Lead("espeak", "engine.kind is espeak")
    try:
        weights = locate(config.engine.f5.weights, config.state_dir)
    except WeightsError as error:
        if kind == "f5" or config.engine.f5.weights is not None:
            return Lead("f5", "F5 is configured, but its weights cannot be used", trouble=str(error))
        return Lead("espeak", f"weights were found, but cannot be used: {error}", trouble=str(error))
    if weights is not None:
        return Lead("f5", f"weights were found in {weights.folder}", weights)
    none = "no F5-TTS weights were found; `ishowtts fetch` gets them"
    if kind == "f5":
        return Lead("f5", none, trouble=none)
    return Lead("espeak", none)


@dataclass(frozen=True)
class Company:
    """The engines of a running daemon."""

    lead: Lead
    cast: Cast
    remote: RemoteEngine | None
    spare: EspeakEngine

    def available(self) -> bool:
        """Whether anyone can speak now."""
        return self.remote is None or self.cast.spare is not None or self.remote.status().state == "ready"

    def status(self) -> EngineStatus | None:
        """How the worker does; `None` where espeak leads, or f5 has nothing to load."""
        return self.remote.status() if self.remote else None

    def close(self) -> None:
        """End the worker and the spare voice."""
        if self.remote is not None:
            self.remote.close()
        self.spare.close()


def engage(config: Config, lead: Lead, on_change: Callable[[], None]) -> Company:
    """Make the engines; nothing is started yet."""
    section = config.engine
    spare = EspeakEngine(section.espeak_voice)
    if lead.kind == "espeak" or lead.weights is None:
        return Company(lead, Cast(spare, None), None, spare)
    options = f5_options(section, lead.weights)
    remote = RemoteEngine("f5", options, _deadlines(section), on_change=on_change)
    return Company(lead, Cast(remote, spare if section.fallback else None), remote, spare)


def voices(config: Config) -> VoiceShelf:
    """The voices that lines may ask for."""
    return VoiceShelf(config.engine.f5.voices_dir)

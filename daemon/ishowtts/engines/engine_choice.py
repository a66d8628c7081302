"""Chooses the primary engine by `engine.kind` and the weights that are there. Imports no engine."""

from __future__ import annotations

from dataclasses import dataclass

from ishowtts.config import Config
from ishowtts.engines.weights import Weights, locate
from ishowtts.errors import WeightsError


@dataclass(frozen=True)
class EngineChoice:
    """The choice of the primary engine.

    Attributes:
        kind: `f5` or `espeak`.
        why: reason of the choice, in one sentence for the operator.
        weights: what F5 loads; `None` for espeak, and if F5 is configured but cannot be used.
        problem: why the configured engine cannot speak; `None` if it can.
    """

    kind: str
    why: str
    weights: Weights | None = None
    problem: str | None = None


def choose_engine(config: Config) -> EngineChoice:
    """Chooses the configured engine; without one, F5 if there are weights, else espeak."""
    kind = config.engine.kind
    if kind == "espeak":
        return EngineChoice("espeak", "engine.kind is espeak")
    try:
        weights = locate(config.engine.f5.weights, config.data_folder)
    except WeightsError as error:
        if kind == "f5" or config.engine.f5.weights is not None:
            return EngineChoice("f5", "F5 is configured, but its weights cannot be used", problem=str(error))
        return EngineChoice("espeak", f"weights were found, but cannot be used: {error}", problem=str(error))
    if weights is not None:
        return EngineChoice("f5", f"weights were found in {weights.folder}", weights)
    no_weights = "no F5-TTS weights were found; `ishowtts fetch` gets them"
    if kind == "f5":
        return EngineChoice("f5", no_weights, problem=no_weights)
    return EngineChoice("espeak", no_weights)

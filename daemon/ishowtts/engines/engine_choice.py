"""Chooses the primary engine and those after it, by the configuration and by what is installed. Imports no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ishowtts.config import Config
from ishowtts.engines.f5.upstream_packages import missing_packages_problem
from ishowtts.engines.hibari.hibari_package import missing_package
from ishowtts.engines.weights import Weights, locate
from ishowtts.errors import WeightsError

_ORDER = ("remote", "f5", "hibari", "espeak")
_BEFORE_HIBARI = ("auto", "remote", "f5")


@dataclass(frozen=True)
class EngineChoice:
    """The choice of the engines.

    Attributes:
        kind: kind of the primary engine: `f5`, `hibari`, `espeak` or `remote`.
        why: reason of the choice, in one sentence for the operator.
        weights: what F5 loads; `None` if F5 is not used, and if it is configured but cannot be used.
        weights_problem: why F5 cannot use the weights that it needs; `None` if it can, or needs none.
        upstream_problem: which packages F5 lacks for this configuration or for these weights.
        package_problem: why hibari cannot speak, if the configuration names it.
        order: kinds of the engines in the order in which they are asked, from the primary one on.
    """

    kind: str
    why: str
    weights: Weights | None = None
    weights_problem: str | None = None
    upstream_problem: str | None = None
    package_problem: str | None = None
    order: tuple[str, ...] = ()

    @property
    def f5_problem(self) -> str | None:
        """Why F5 cannot speak, if it should; `None` if it can, or need not."""
        return self.weights_problem or self.upstream_problem

    @property
    def problem(self) -> str | None:
        """Why configured engines cannot speak; `None` if each of them can."""
        return "; ".join(filter(None, (self.f5_problem, self.package_problem))) or None


def choose_engine(config: Config) -> EngineChoice:
    """Chooses the configured engine; without one, F5 if there are weights, else hibari if it is there, else espeak.

    That hibari is not installed is a problem only if the configuration names it.
    """
    section, missing = config.engine, missing_package()
    primary = _primary(config, missing)
    later = [kind for kind in section.fallbacks if _ORDER.index(kind) > _ORDER.index(primary.kind)]
    if missing is None:
        return replace(primary, order=(primary.kind, *later))
    is_named = isinstance(section.fallback, list) and "hibari" in section.fallback and section.kind in _BEFORE_HIBARI
    order = (primary.kind, *(kind for kind in later if kind != "hibari"))
    return replace(primary, order=order, package_problem=missing if is_named else primary.package_problem)


def _primary(config: Config, missing: str | None) -> EngineChoice:
    """Chooses the primary engine.

    Args:
        missing: why hibari cannot be used; `None` if it can.
    """
    kind, named = config.engine.kind, config.engine.f5.weights
    if kind in ("hibari", "espeak", "remote"):
        return EngineChoice(kind, f"engine.kind is {kind}", package_problem=missing if kind == "hibari" else None)
    natural = "hibari" if missing is None else "espeak"
    try:
        weights = locate(named, config.data_folder)
    except WeightsError as error:
        if kind == "f5" or named is not None:
            return EngineChoice("f5", "F5 is configured, but its weights cannot be used", weights_problem=str(error))
        return EngineChoice(natural, f"weights were found, but cannot be used: {error}", weights_problem=str(error))
    if weights is not None:
        f5 = config.engine.f5
        if problem := missing_packages_problem(weights, f5.switches, f5.device):
            return EngineChoice(
                "f5", "F5 is configured, but packages that it needs are missing", upstream_problem=problem
            )
        return EngineChoice("f5", f"weights were found in {weights.folder}", weights)
    no_weights = "no F5-TTS weights were found; `ishowtts fetch` gets them"
    return (
        EngineChoice("f5", no_weights, weights_problem=no_weights)
        if kind == "f5"
        else EngineChoice(natural, no_weights)
    )

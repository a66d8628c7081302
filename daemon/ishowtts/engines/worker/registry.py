"""Engines that a worker can run, by name. A name from the wire is looked up here and never imported."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ishowtts.engines import Engine
from ishowtts.engines.f5 import load_faults
from ishowtts.errors import EngineError, PackageError, first_line


@dataclass(frozen=True)
class RegisteredEngine:
    """An engine that a worker can run.

    Attributes:
        make: builds the engine from JSON options.
        rate_hz: sample rate to expect before the engine is loaded.
    """

    make: Callable[[dict[str, Any]], Engine]
    rate_hz: int


def _f5(options: dict[str, Any]) -> Engine:
    try:
        from ishowtts.engines.f5.engine import F5Engine, F5Options
    except (ImportError, OSError, ValueError, RuntimeError) as error:  # torch's import ends with any of these
        found = load_faults.explain(str(error), stock=load_faults.has_stock_libraries())
        problem, fix = found or (first_line(error), "run install.sh again, with --with-f5")
        raise PackageError(f"F5 cannot be imported ({problem}); {fix}") from error
    return F5Engine(F5Options.from_dict(options))


def _hibari(options: dict[str, Any]) -> Engine:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported, which starts a thread for each further core
    from ishowtts.engines.hibari.hibari_engine import HibariEngine, HibariOptions

    return HibariEngine(HibariOptions.from_dict(options))


ENGINES = {"f5": RegisteredEngine(_f5, 24_000), "hibari": RegisteredEngine(_hibari, 24_000)}


def find(kind: str) -> RegisteredEngine:
    """Returns the entry of an engine. Raises EngineError if there is none of this name."""
    try:
        return ENGINES[kind]
    except KeyError:
        raise EngineError(f"there is no engine {kind!r}; the engines are {', '.join(sorted(ENGINES))}") from None


def make(kind: str, options: dict[str, Any]) -> Engine:
    """Builds an engine, not loaded yet. Unknown options raise TypeError or the engine's own error.

    Raises:
        PackageError: a package that it imports is missing or does not load.
    """
    registered = find(kind)
    try:
        return registered.make(options)
    except ImportError as error:
        problem = f"the engine {kind} cannot be imported ({first_line(error)})"
        raise PackageError(f"{problem}; run install.sh again") from error

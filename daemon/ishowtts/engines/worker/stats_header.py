"""An engine's vitals on the wire: written by the worker, read and checked by the daemon."""

from __future__ import annotations

from typing import Any

from ishowtts.engines import Engine, EngineStats, ImprovingEngine
from ishowtts.engines.worker.wire import Frame, WireError

_MOST_MB = 1e7


def to_header(engine: Engine) -> dict[str, Any]:
    """The fields of a `ready` or `done` frame."""
    vitals = engine.vitals() if isinstance(engine, ImprovingEngine) else EngineStats()
    return {"gpu_mb": vitals.gpu_mb, "unbucketed": vitals.unbucketed}


def of(frame: Frame) -> EngineStats:
    """What a `ready` or `done` frame says. Raises WireError where that is not plausible."""
    gpu_mb = None if frame.header.get("gpu_mb") is None else frame.number("gpu_mb")
    unbucketed = frame.integer("unbucketed")
    if unbucketed < 0 or (gpu_mb is not None and not 0 <= gpu_mb <= _MOST_MB):
        raise WireError(f"{gpu_mb} MB and {unbucketed} runs are no vitals")
    return EngineStats(gpu_mb, unbucketed)

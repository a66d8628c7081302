"""Voice info and engine stats as header fields of frames: the worker writes them, the daemon reads and checks them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ishowtts.engines import Engine, EngineStats, SelfTuningEngine, VoiceInfo
from ishowtts.engines.worker.wire import Frame, WireError

_MAX_SEGMENT_BYTES = 1_000_000
_MAX_REFERENCE_S = 600.0
_MAX_BYTES_PER_S = 1000.0
_MAX_SEAM_S = 1.0
_MAX_COST = 1000.0
_MAX_SPEED = 10.0
_MAX_NFE_STEP = 1000
_MAX_BATCH_S = 3600.0
_MAX_GPU_MB = 1e7


def write_voice_info(info: VoiceInfo) -> dict[str, Any]:
    """Returns the voice's fields of a `ready` or `prepared` frame."""
    fields = asdict(info)
    return {"voice": fields.pop("name"), **fields}


def read_voice_info(frame: Frame) -> VoiceInfo:
    """Reads the voice info of a `ready` or `prepared` frame.

    Raises:
        WireError: a field is missing, has another type, or is not plausible.
    """
    seam_s = frame.number("seam_s")
    if not 0 <= seam_s <= _MAX_SEAM_S:
        raise WireError(f"seam_s is {seam_s:g}; 0 to {_MAX_SEAM_S:g} is plausible")
    speed = _positive(frame, "speed", _MAX_SPEED)
    if speed is None:
        raise WireError("speed is missing")
    batch_s = frame.number("batch_s")
    if not 0 <= batch_s <= _MAX_BATCH_S:
        raise WireError(f"batch_s is {batch_s:g}; 0 to {_MAX_BATCH_S:g} is plausible")
    return VoiceInfo(
        frame.text("voice"),
        _count(frame, "max_segment_bytes", _MAX_SEGMENT_BYTES),
        reference_s=_reference_s(frame),
        bytes_per_s=_positive(frame, "bytes_per_s", _MAX_BYTES_PER_S),
        seam_s=seam_s,
        cost=_positive(frame, "cost", _MAX_COST),
        cost_nfe_step=_nfe_step(frame, "cost_nfe_step"),
        speed=speed,
        nfe_step=_nfe_step(frame, "nfe_step"),
        batch_s=batch_s,
    )


def write_engine_stats(engine: Engine) -> dict[str, Any]:
    """Returns the engine's fields of a `ready` or `done` frame."""
    stats = engine.stats() if isinstance(engine, SelfTuningEngine) else EngineStats()
    return {"gpu_mb": stats.gpu_mb, "unbucketed": stats.unbucketed, "graphs_mb": stats.graphs_mb}


def read_engine_stats(frame: Frame) -> EngineStats:
    """Reads the engine stats of a `ready` or `done` frame. Raises WireError if they are not plausible."""
    gpu_mb, graphs_mb = (
        None if frame.header.get(key) is None else frame.number(key) for key in ("gpu_mb", "graphs_mb")
    )
    unbucketed = frame.integer("unbucketed")
    if unbucketed < 0 or any(each is not None and not 0 <= each <= _MAX_GPU_MB for each in (gpu_mb, graphs_mb)):
        raise WireError(
            f"it reported impossible statistics (gpu_mb {gpu_mb}, unbucketed {unbucketed}, graphs_mb {graphs_mb})"
        )
    return EngineStats(gpu_mb, unbucketed, graphs_mb)


def _count(frame: Frame, key: str, most: int) -> int:
    value = frame.integer(key)
    if not 0 < value <= most:
        raise WireError(f"{key} is {value}; 1 to {most} is plausible")
    return value


def _nfe_step(frame: Frame, key: str) -> int | None:
    return None if frame.header.get(key) is None else _count(frame, key, _MAX_NFE_STEP)


def _reference_s(frame: Frame) -> float | None:
    """Reads the duration of the reference: 0 if the engine needs none, `None` if it does not say."""
    if frame.header.get("reference_s") is None:
        return None
    reference_s = frame.number("reference_s")
    if not 0 <= reference_s <= _MAX_REFERENCE_S:
        raise WireError(f"reference_s is {reference_s:g}; 0 to {_MAX_REFERENCE_S:g} is plausible")
    return reference_s


def _positive(frame: Frame, key: str, most: float) -> float | None:
    """Reads a positive number, or `None` if the worker does not know it."""
    if frame.header.get(key) is None:
        return None
    value = frame.number(key)
    if not 0 < value <= most:
        raise WireError(f"{key} is {value:g}; more than 0 and at most {most:g} is plausible")
    return value

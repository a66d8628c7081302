"""A voice's card on the wire: written by the worker, read and checked by the daemon."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ishowtts.engines import VoiceInfo
from ishowtts.engines.worker.wire import Frame, WireError

_MOST_BYTES = 1_000_000
_LONGEST_REFERENCE_S = 600.0
_FASTEST_BYTES_PER_S = 1000.0
_LONGEST_SEAM_S = 1.0
_HIGHEST_COST = 1000.0
_HIGHEST_SPEED = 10.0
_MOST_STEPS = 1000
_LONGEST_BATCH_S = 3600.0


def to_header(card: VoiceInfo) -> dict[str, Any]:
    """The fields of a card as a `ready` or `prepared` frame carries them."""
    fields = asdict(card)
    return {"voice": fields.pop("name"), **fields}


def of(frame: Frame) -> VoiceInfo:
    """The card that a `ready` or `prepared` frame carries.

    Raises:
        WireError: a field is missing, of another type, or beyond what is plausible.
    """
    max_segment_bytes = frame.integer("max_segment_bytes")
    if not 0 < max_segment_bytes <= _MOST_BYTES:
        raise WireError(f"{max_segment_bytes} bytes are no length of a segment")
    seam_s = frame.number("seam_s")
    if not 0 <= seam_s <= _LONGEST_SEAM_S:
        raise WireError(f"{seam_s:g} s is no length of a seam")
    speed = _positive(frame, "speed", _HIGHEST_SPEED)
    if speed is None:
        raise WireError("speed is missing")
    nfe_step = None if frame.header.get("nfe_step") is None else frame.integer("nfe_step")
    if nfe_step is not None and not 0 < nfe_step <= _MOST_STEPS:
        raise WireError(f"nfe_step is {nfe_step}; 1 to {_MOST_STEPS} is plausible")
    batch_s = frame.number("batch_s")
    if not 0 <= batch_s <= _LONGEST_BATCH_S:
        raise WireError(f"batch_s is {batch_s:g}; 0 to {_LONGEST_BATCH_S:g} is plausible")
    return VoiceInfo(
        frame.text("voice"),
        max_segment_bytes,
        reference_s=_positive(frame, "reference_s", _LONGEST_REFERENCE_S),
        bytes_per_s=_positive(frame, "bytes_per_s", _FASTEST_BYTES_PER_S),
        seam_s=seam_s,
        cost=_positive(frame, "cost", _HIGHEST_COST),
        speed=speed,
        nfe_step=nfe_step,
        batch_s=batch_s,
    )


def _positive(frame: Frame, key: str, most: float) -> float | None:
    """A positive number, or `None` where the worker does not know it."""
    if frame.header.get(key) is None:
        return None
    value = frame.number(key)
    if not 0 < value <= most:
        raise WireError(f"{key} is {value:g}; more than 0 and at most {most:g} is plausible")
    return value

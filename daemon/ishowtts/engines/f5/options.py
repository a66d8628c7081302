"""What the F5 engine is told: JSON-able, since it crosses to the worker. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ishowtts.errors import EngineError

Precision = Literal["auto", "fp32", "fp16", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class F5Options:
    """Options of the F5 engine.

    Args:
        weights: the folder of the weights (`ishowtts.engines.weights.locate`).
        voices_dir: the folder of the voices; `None`: only the default one.
        default_voice: the voice of a segment that names none.
        nfe_step: evaluations of the model a segment.
        cfg_strength: how strongly the text and the voice guide.
        precision: of the transformer; `auto`: fp16 on CUDA, else fp32. Vocos always runs in fp32.
        device: `auto`: CUDA where a real product works on it, else the CPU.
        cache_dir: where compiled things may be kept.
        optimisations: switches by name; this engine knows none yet and runs as upstream does.
    """

    weights: str
    voices_dir: str | None = None
    default_voice: str = "default"
    nfe_step: int = 7
    cfg_strength: float = 2.0
    precision: Precision = "auto"
    device: Device = "auto"
    cache_dir: str | None = None
    optimisations: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> F5Options:
        """Read what `to_dict` gave. Raises EngineError for an option that does not exist or is missing."""
        known = {one.name for one in fields(cls)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise EngineError(f"the F5 engine has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
        if "weights" not in options:
            raise EngineError("the F5 engine needs the option weights, the folder of its weights")
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

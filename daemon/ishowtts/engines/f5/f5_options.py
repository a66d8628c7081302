"""Options of the F5 engine. They cross to the worker as JSON. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ishowtts.errors import EngineError
from ishowtts.f5_switches import Switches, device_faults

Precision = Literal["auto", "fp32", "fp16", "bf16"]
DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class F5Options:
    """Options of the F5 engine.

    Args:
        weights: folder of the weights (`ishowtts.engines.weights.locate`).
        voices_dir: folder of the voices; `None`: only the default voice exists.
        uploaded_dir: folder of the voices that came over MQTT; `None`: there are none.
        default_voice: the voice of a segment that names none.
        nfe_step: number of evaluations of the model for a segment.
        cfg_strength: strength of the classifier-free guidance.
        precision: type of the transformer's tensors. `auto`: fp16 on CUDA, bf16 on processors that multiply it, else
            fp32. Vocos runs in fp32. Only its backbone runs in fp16 on CUDA, if the transformer does and it is faster.
        device: `auto`: CUDA if a real product works on it, else the CPU.
        cache_dir: folder for compiled kernels; `None`: they are not kept.
        switches: the switches of the engine.

    Raises:
        ValueError: the device cannot have one of the switches.
    """

    weights: str
    voices_dir: str | None = None
    uploaded_dir: str | None = None
    default_voice: str = "default"
    nfe_step: int = 7
    cfg_strength: float = 2.0
    precision: Precision = "auto"
    device: DeviceName = "auto"
    cache_dir: str | None = None
    switches: Switches = field(default_factory=Switches)

    def __post_init__(self) -> None:
        for fault in device_faults(self.switches, self.device):
            raise ValueError(fault)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> F5Options:
        """Read what `to_dict` gave.

        Raises:
            EngineError: an option does not exist or is missing, or a combination is impossible.
        """
        known = _known(cls, "option", options)
        if "weights" not in options:
            raise EngineError("the F5 engine needs the option weights, the folder of its weights")
        switches = _known(Switches, "switch", known.pop("switches", {}))
        try:
            return cls(**known, switches=Switches(**switches))
        except ValueError as error:
            raise EngineError(str(error)) from error

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON takes them."""
        return asdict(self)


def _known(kind: type[Any], word: str, given: dict[str, Any]) -> dict[str, Any]:
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise EngineError(f"the F5 engine has no {word} {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return dict(given)

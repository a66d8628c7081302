"""What the F5 engine is told: JSON-able, since it crosses to the worker. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ishowtts.errors import EngineError

Precision = Literal["auto", "fp32", "fp16", "bf16"]
DeviceName = Literal["auto", "cpu", "cuda"]

GuidanceSkip = Literal[False, "plain", "reuse"]
Compile = Literal[False, "max-autotune"]


@dataclass(frozen=True)
class Optimisations:
    """The engine's switches; `docs/f5.md` explains and measures each. All off: upstream's modules, as they are.

    Args:
        folds: what does not change is computed once: AdaLN once a schedule, the projection of voice and text once a
            line; queries, keys and values are one product.
        text_once: the text encoder in closed form; tokens of the last texts are kept.
        reference_cache: a voice's spectrogram and loudness are kept, not computed for each segment.
        exact_padding: runs are padded to a few lengths, for graphs that want fixed shapes. `None`: on CUDA.
        graphs: evaluations at fixed addresses, recorded as CUDA graphs; with `folds` and `exact_padding` alone.
            `None`: on CUDA.
        fused_kernels: our own Triton kernels between the products, where they are right and faster.
        cpu_kernels: products and attention by whichever kernel this machine is fastest with.
        short_text: under 10 bytes of text take the time of a word, not upstream's speed of 0.3.
        int8: products in whole numbers; costs fidelity.
        fp8: products in eight bits of floating point, on GPUs that have them; costs fidelity.
        guidance_skip: the first evaluations go without their unconditional half: `plain`, or `reuse` the first
            difference; costs fidelity.
        nfe_policy: evaluations by length: 8 under 5 s, 7, 6 from 15 s on.
        compile: instead of all these: upstream's modules through `torch.compile`, as the system before this one ran.
        tensorrt_vocoder: Vocos through TensorRT.
    """

    folds: bool = True
    text_once: bool = True
    reference_cache: bool = True
    exact_padding: bool | None = None
    graphs: bool | None = None
    fused_kernels: bool = True
    cpu_kernels: bool = True
    short_text: bool = True
    int8: bool = False
    fp8: bool = False
    guidance_skip: GuidanceSkip = False
    nfe_policy: bool = False
    compile: Compile = False
    tensorrt_vocoder: bool = False

    @classmethod
    def off(cls) -> Optimisations:
        """Upstream."""
        return cls(
            folds=False,
            text_once=False,
            reference_cache=False,
            exact_padding=False,
            graphs=False,
            fused_kernels=False,
            cpu_kernels=False,
            short_text=False,
        )

    @property
    def need_fast_model(self) -> bool:
        """Whether any of them is more than a decision around upstream's modules."""
        return not self.compile and bool(
            self.folds or self.text_once or self.exact_padding or self.graphs or self.fused_kernels
            or self.cpu_kernels or self.int8 or self.fp8 or self.guidance_skip
        )  # fmt: skip


@dataclass(frozen=True)
class F5Options:
    """Options of the F5 engine.

    Args:
        weights: the folder of the weights (`ishowtts.engines.weights.locate`).
        voices_dir: the folder of the voices; `None`: only the default one.
        default_voice: the voice of a segment that names none.
        nfe_step: evaluations of the model a segment.
        cfg_strength: how strongly the text and the voice guide.
        precision: of the transformer; `auto`: fp16 on CUDA, else fp32. Vocos runs in fp32, but for its backbone where
            fp16 runs on CUDA.
        device: `auto`: CUDA where a real product works on it, else the CPU.
        cache_dir: where compiled things may be kept.
        optimisations: switches.
    """

    weights: str
    voices_dir: str | None = None
    default_voice: str = "default"
    nfe_step: int = 7
    cfg_strength: float = 2.0
    precision: Precision = "auto"
    device: DeviceName = "auto"
    cache_dir: str | None = None
    optimisations: Optimisations = field(default_factory=Optimisations)

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> F5Options:
        """Read what `to_dict` gave. Raises EngineError for an option that does not exist or is missing."""
        known = _known(cls, "option", options)
        if "weights" not in options:
            raise EngineError("the F5 engine needs the option weights, the folder of its weights")
        switches = _known(Optimisations, "optimisation", known.pop("optimisations", {}))
        return cls(**known, optimisations=Optimisations(**switches))

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def _known(kind: type[Any], word: str, given: dict[str, Any]) -> dict[str, Any]:
    known = {one.name for one in fields(kind)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise EngineError(f"the F5 engine has no {word} {unknown[0]!r}; it has {', '.join(sorted(known))}")
    return dict(given)

"""The optimisations in the order of their implementation, to predict what each of them gains. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ishowtts.board.gpu_specs import GpuSpec
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts_bench import roofline
from ishowtts_bench.workload import OURS, UPSTREAM, Implementation, Work


@dataclass(frozen=True)
class OptimisationStep:
    """An implementation, and the kinds of kernels that reach the board's high efficiency, not the likely one.

    Args:
        high: Names of efficiencies of `roofline.Assumptions`.
    """

    title: str
    implementation: Implementation
    high: tuple[str, ...] = ()

    def predict_s(self, dit: DitConfig, work: Work, board: GpuSpec) -> float:
        """The predicted time of a line, in seconds."""
        _, likely, high = roofline.assumptions(board)
        chosen = replace(likely, **{name: getattr(high, name) for name in self.high})
        return roofline.line(dit, work, self.implementation, board, chosen).total_s


_FOLDED = replace(UPSTREAM, folded=True)
_CAPTURED = replace(_FOLDED, captured=True, frame_step=64)
_FUSED = replace(_CAPTURED, fusion="fused")
FIRST: Final = replace(_FUSED, vocoder_half=True)
"""Our engine when it was first predicted, but for the padding, which that prediction did not count."""
_EPILOGUES = replace(FIRST, fusion="epilogues")
_ENDS = replace(_EPILOGUES, ends_captured=True)
_UNFUSED = replace(OURS, fusion="fused")


def predict_first(dit: DitConfig, work: Work, board: GpuSpec) -> tuple[float, ...]:
    """The first prediction of the RTF, low, likely and high: without padding, at efficiencies nobody had measured."""
    unpadded = replace(FIRST, frame_step=1)
    return tuple(roofline.line(dit, work, unpadded, board, chosen).rtf for chosen in roofline.ASSUMPTIONS)


STEPS: Final = (
    OptimisationStep("upstream, fp16, both branches in one batch", UPSTREAM),
    OptimisationStep("AdaLN folded, queries, keys and values one product, conditions once per segment", _FOLDED),
    OptimisationStep("one CUDA graph of a step for each bucket of 64 frames", _CAPTURED),
    OptimisationStep("fused kernels between the products, GELU in the epilogue", _FUSED),
    OptimisationStep("Vocos' backbone in fp16", FIRST),
    OptimisationStep("rotary, gate and residual in the epilogues of the products", _EPILOGUES),
    OptimisationStep("text encoder and vocoder as CUDA graphs", _ENDS),
    OptimisationStep("buckets of 32 frames", OURS),
    OptimisationStep("products at the high efficiency", OURS, ("products",)),
    OptimisationStep("attention at the high efficiency", OURS, ("products", "attention")),
    OptimisationStep("positional convolutions at the high efficiency", OURS, ("products", "attention", "convolution")),
)
"""Each step includes those before it. Ours has buckets of 32 frames; the last three steps are possible gains."""

EIGHT_BIT: Final = (
    OptimisationStep("fp16, with kernels of their own for rotary, gate and residual", _UNFUSED),
    OptimisationStep(
        "int8 or fp8, scaled and quantised by kernels of their own", replace(_UNFUSED, eight_bit="separate")
    ),
    OptimisationStep("int8 or fp8, fused", replace(_UNFUSED, eight_bit="fused")),
)
"""Products in eight bits, and the implementation to compare them with. All three have everything else of ours."""

"""Compares the predictions with figures that others published. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ishowtts.board.gpu_specs import find
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts_bench import roofline
from ishowtts_bench.workload import COMPILED, UPSTREAM, UPSTREAM_FP32, Implementation, Work

REFERENCES_S: Final = (3.0, 5.3, 8.0, 12.0)
"""The references of the published figures are unknown. We assume 5.3 s, the length of upstream's own clip."""
ASSUMED_S: Final = 5.3


SERVED: Final = Implementation(
    "TensorRT-LLM", True, False, 2, "compiled", folded=False, captured=True, vocoder_half=True
)


@dataclass(frozen=True)
class Figure:
    """A published RTF, and the conditions of its measurement as we understand them.

    Args:
        speech_known: Whether the length of the speech was published. Otherwise we assume it.
    """

    name: str
    board: str
    implementation: Implementation
    speech_s: float
    nfe_step: int
    rtf: float
    speech_known: bool = True

    @property
    def title(self) -> str:
        """A title that differs from other figures of the same name."""
        return f"{self.name}, NFE {self.nfe_step}, {'' if self.speech_known else '~'}{self.speech_s:g} s"


FIGURES: Final = (
    Figure("upstream fp32", "agx-orin", UPSTREAM_FP32, 8.4, 32, 1.32),
    Figure("upstream fp16", "agx-orin", UPSTREAM, 8.4, 32, 1.32),
    Figure("torch.compile", "agx-orin", COMPILED, 8.4, 8, 0.266),
    Figure("torch.compile", "agx-orin", COMPILED, 8.4, 7, 0.212),
    Figure("torch.compile", "agx-orin", COMPILED, 27.8, 7, 0.168),
    Figure("Fast F5-TTS", "rtx-3090", UPSTREAM, 6.0, 7, 0.030, speech_known=False),
    Figure("TensorRT-LLM", "l20", SERVED, 6.0, 16, 0.0402, speech_known=False),
    Figure("PyTorch", "l20", UPSTREAM, 6.0, 16, 0.1467, speech_known=False),
)
"""The figures on AGX Orin are those of a system before this one. The first was published as fp32, but upstream uses
fp16 on CUDA by default, so it is compared with both. 6 s is the length of a sentence in the test sets that the others
name."""


@dataclass(frozen=True)
class PredictionCheck:
    """A published figure and its prediction.

    Args:
        off: Prediction divided by the published figure, minus one.
        implied: Efficiency of products that gives the published figure; `None` if there is none.
    """

    figure: Figure
    reference_s: float
    chunks: int
    predicted: float
    off: float
    implied: float | None


def check(dit: DitConfig, figure: Figure, reference_s: float = ASSUMED_S) -> PredictionCheck:
    """Compare one figure with its prediction at likely efficiencies, for one length of the reference."""
    board = find(figure.board)
    likely = roofline.likely(board)
    work = Work(reference_s, figure.speech_s, figure.nfe_step)
    rtf = roofline.line(dit, work, figure.implementation, board, likely).rtf
    implied = roofline.implied_products(dit, work, figure.implementation, board, likely, rtf=figure.rtf)
    return PredictionCheck(figure, reference_s, roofline.chunks(work), rtf, rtf / figure.rtf - 1, implied)

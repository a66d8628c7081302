"""The predictions held against what others published. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ishowtts.board.gpu_specs import GpuSpec, find
from ishowtts.engines.f5.architecture import DitConfig
from ishowtts_bench import roofline
from ishowtts_bench.roofline import LIKELY, Assumptions
from ishowtts_bench.workload import EARLIER, STOCK, STOCK_FP32, Recipe, Work

REFERENCES_S: Final = (3.0, 5.3, 8.0, 12.0)
"""The reference behind the published figures is not known; 5.3 s is upstream's own clip, and what is assumed."""
ASSUMED_S: Final = 5.3


SERVED: Final = Recipe("TensorRT-LLM", True, False, 2, "compiled", folded=False, captured=True, vocoder_half=True)


@dataclass(frozen=True)
class Figure:
    """A published RTF, and how we understand that it came about.

    Args:
        speech_known: whether the length of speech was published too; else it is assumed.
    """

    name: str
    board: str
    recipe: Recipe
    speech_s: float
    nfe_step: int
    rtf: float
    speech_known: bool = True

    @property
    def title(self) -> str:
        """Apart from the others of its name."""
        return f"{self.name}, NFE {self.nfe_step}, {'' if self.speech_known else '~'}{self.speech_s:g} s"


FIGURES: Final = (
    Figure("stock fp32", "agx-orin", STOCK_FP32, 8.4, 32, 1.32),
    Figure("were it fp16", "agx-orin", STOCK, 8.4, 32, 1.32),
    Figure("compiled", "agx-orin", EARLIER, 8.4, 8, 0.266),
    Figure("compiled", "agx-orin", EARLIER, 8.4, 7, 0.212),
    Figure("compiled", "agx-orin", EARLIER, 27.8, 7, 0.168),
    Figure("Fast F5-TTS", "rtx-3090", STOCK, 6.0, 7, 0.030, speech_known=False),
    Figure("TensorRT-LLM", "l20", SERVED, 6.0, 16, 0.0402, speech_known=False),
    Figure("PyTorch", "l20", STOCK, 6.0, 16, 0.1467, speech_known=False),
)
"""Those on AGX Orin are of the earlier system. The first was published as fp32; upstream is fp16 on CUDA unless told
otherwise, so that it is checked in both readings. 6 s is a sentence of the test sets that the others name."""


@dataclass(frozen=True)
class PredictionCheck:
    """A figure beside its prediction.

    Args:
        off: the prediction over the published figure, less one.
        implied: the efficiency of products that would give the published figure; `None`: none does.
        implied_halved: the same, should accumulation in fp32 run at half the rate; `None` also where that is no doubt.
    """

    figure: Figure
    reference_s: float
    chunks: int
    predicted: float
    off: float
    implied: float | None
    implied_halved: float | None


def check(
    dit: DitConfig, figure: Figure, reference_s: float = ASSUMED_S, given: Assumptions = LIKELY
) -> PredictionCheck:
    """One figure, for one length of the reference."""
    board = find(figure.board)
    work = Work(reference_s, figure.speech_s, figure.nfe_step)
    rtf = roofline.line(dit, work, figure.recipe, board, given).rtf

    def implied(chosen: GpuSpec) -> float | None:
        return roofline.implied_products(dit, work, figure.recipe, chosen, given, rtf=figure.rtf)

    return PredictionCheck(
        figure, reference_s, roofline.chunks(work), rtf, rtf / figure.rtf - 1, implied(board),
        implied(board.halved()) if figure.recipe.half and board.half_rate_uncertain else None,
    )  # fmt: skip

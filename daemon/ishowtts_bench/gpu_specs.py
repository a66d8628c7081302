"""What GPUs can do by their data sheets. Imports no torch.

Where the figures are from, and what had to be worked out:

- **Orin** (sm_87). NVIDIA's data sheets of the Jetson AGX Orin series and of the Orin NX and Orin Nano series (with
  "Super"), and the technical brief of AGX Orin. They name sparse INT8 rates of the GPU (170 TOPS of the 275 of AGX Orin
  64 GB; the other 105 are its DLAs, which run none of this) and FP32 rates (5.3 TFLOPS), never a dense fp16 rate.
  Dense INT8 is half of sparse, dense fp16 half of that: 2048 operations a clock and SM, which is the rate of the A100's
  SM too. 16 SMs at 1.3 GHz are 42.6 TFLOPS; 8 SMs at 918, 1173 and 1020 MHz are Orin NX, its Super mode, and Orin Nano
  Super (100, 157 and 67 sparse TOPS with their DLAs, which fits).
  **Uncertain:** whether accumulation in fp32 runs at the full rate, as on the A100 and professional Ampere cards, or at
  half, as on GeForce cards of the same generation. No document that was found says. The full rate is taken; `halved`
  gives the other reading, and a board with `half_rate_uncertain` is predicted both ways.
- **Thor** (sm_110). The data sheet of the T5000 names 2070 TFLOPS of sparse FP4, 20 SMs and 273 GB/s. Dense fp16 is
  an eighth of that, 258 TFLOPS: 8192 a clock and SM at 1.575 GHz. This rate is only reached by `tcgen05` products;
  kernels built for older architectures stay far under it. INT8 is taken as that of FP8, which is uncertain.
- **H100 and H200** (SXM; sm_90). NVIDIA's data sheets name 1979 TFLOPS of sparse fp16, which is 989 dense: 4096 a clock
  and SM, 132 SMs, 1.83 GHz; 3.35 and 4.8 TB/s. fp32 accumulation runs at the full rate. FP32 outside the tensor cores
  (67 TFLOPS at 1.98 GHz) is taken at the same 1.83 GHz.
- **RTX 3090 and L20** are here for what others published on them. The white paper of GA102 names 71 TFLOPS of dense
  fp16 with fp32 accumulation (twice that with fp16) and 936 GB/s for the first. For L20, 119.5 TFLOPS and 864 GB/s are
  what is quoted of its product sheet, which was not at hand.

Clocks are the highest of the data sheet: MAXN, locked, not throttled. The costs of launching are no data: they are
assumptions, and are to be replaced where a profile shows the gaps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from ishowtts.errors import ConfigError

# Dense fp16 operations a clock and SM, accumulating in fp32.
_SM_80, _SM_86, _SM_90, _SM_110 = 2048, 512, 4096, 8192


@dataclass(frozen=True)
class GpuSpec:
    """One GPU.

    Args:
        half_flop_per_s: dense products in fp16 with fp32 accumulation.
        single_flop_per_s: products and everything else in fp32, without tensor cores.
        int8_op_per_s: dense products in whole numbers.
        bytes_per_s: of memory, by the data sheet.
        gap_s: between two kernels of a CUDA graph; an assumption.
        dispatch_s: what the processor needs to launch one kernel through torch without a graph; an assumption.
        half_rate_uncertain: `half_flop_per_s` may be half of what is said.
    """

    name: str
    title: str
    gpu: str
    sms: int
    clock_hz: float
    memory_gb: float
    half_flop_per_s: float
    single_flop_per_s: float
    int8_op_per_s: float
    bytes_per_s: float
    gap_s: float
    dispatch_s: float
    half_rate_uncertain: bool = False

    def halved(self) -> GpuSpec:
        """The same, should accumulation in fp32 run at half the rate."""
        return replace(self, half_flop_per_s=self.half_flop_per_s / 2, half_rate_uncertain=False)


@dataclass(frozen=True)
class _Processors:
    sms: int
    clock_hz: float
    per_clock: int


def _board(
    name: str, title: str, gpu: str, memory_gb: float, bytes_per_s: float, *, processors: _Processors
) -> GpuSpec:
    """Rates from what an SM does in a clock."""
    jetson = gpu in ("Orin", "Thor")
    half = processors.sms * processors.clock_hz * processors.per_clock
    return GpuSpec(
        name, title, gpu, processors.sms, processors.clock_hz, memory_gb, half,
        processors.sms * processors.clock_hz * 256, 2 * half, bytes_per_s,
        gap_s=2e-6 if jetson else 1e-6, dispatch_s=15e-6 if jetson else 5e-6, half_rate_uncertain=gpu == "Orin",
    )  # fmt: skip


BOARDS: Final = (
    _board("agx-orin", "AGX Orin 64 GB", "Orin", 64, 204.8e9, processors=_Processors(16, 1.3e9, _SM_80)),
    _board("orin-nx-super", "Orin NX 16 GB Super", "Orin", 16, 102.4e9, processors=_Processors(8, 1.173e9, _SM_80)),
    _board("orin-nx", "Orin NX 16 GB", "Orin", 16, 102.4e9, processors=_Processors(8, 0.918e9, _SM_80)),
    _board("orin-nano-super", "Orin Nano 8 GB Super", "Orin", 8, 102.4e9, processors=_Processors(8, 1.02e9, _SM_80)),
    _board("thor", "Thor T5000", "Thor", 128, 273e9, processors=_Processors(20, 1.575e9, _SM_110)),
    _board("h100", "H100 SXM", "H100", 80, 3.35e12, processors=_Processors(132, 1.83e9, _SM_90)),
    _board("h200", "H200 SXM", "H200", 141, 4.8e12, processors=_Processors(132, 1.83e9, _SM_90)),
)
"""Orin Nano Super differs from Orin NX in clock and memory; both call themselves "Orin"."""

PUBLISHED_ON: Final = (
    _board("rtx-3090", "RTX 3090", "3090", 24, 936e9, processors=_Processors(82, 1.695e9, _SM_86)),
    _board("l20", "L20", "L20", 48, 864e9, processors=_Processors(92, 2.52e9, _SM_86)),
)
"""No boards of ours; only what was published on them is held against the predictions."""

_MEMORY_SHARE = (0.7, 1.13)  # what a system leaves of its memory; a data sheet's GB may be GiB
_CLOCK_SLACK = 1.03


def find(name: str) -> GpuSpec:
    """A board by its name. Raises ConfigError where there is none."""
    for board in (*BOARDS, *PUBLISHED_ON):
        if board.name == name:
            return board
    known = ", ".join(board.name for board in BOARDS)
    raise ConfigError([f"no board is called {name!r}; name one of {known}, or all"])


def of_gpu(gpu: str, sms: int | None, memory_mb: float | None, clock_mhz: float | None) -> GpuSpec | None:
    """The board that a GPU is by what its driver says; `None`: none of these, or not to be told apart.

    Orin NX is its Super where the clock says so; a clock that is not known leaves it open.
    """
    named = [
        board
        for board in BOARDS
        if board.gpu in re.split(r"[\s_]", gpu)
        and (sms is None or sms == board.sms)
        and (memory_mb is None or _fits(memory_mb / 1000, board.memory_gb))
    ]
    if clock_mhz is not None and len(named) > 1:
        fast_enough = [board for board in named if clock_mhz * 1e6 <= board.clock_hz * _CLOCK_SLACK]
        named = sorted(fast_enough, key=lambda board: board.clock_hz)[:1]
    return named[0] if len(named) == 1 else None


def _fits(memory_gb: float, said_gb: float) -> bool:
    least, most = _MEMORY_SHARE
    return least * said_gb <= memory_gb <= most * said_gb

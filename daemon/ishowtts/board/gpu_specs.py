"""Speed of GPUs according to their data sheets, and which board a GPU is. Imports no torch.

Sources of the figures, and the calculations:

- **Orin** (sm_87). NVIDIA's data sheets of the Jetson AGX Orin series and of the Orin NX and Orin Nano series (with
  "Super"), and the technical brief of AGX Orin. They name sparse INT8 rates of the GPU (170 TOPS of the 275 of AGX Orin
  64 GB; the other 105 belong to its DLAs, which we do not use) and FP32 rates (5.3 TFLOPS), but no dense fp16 rate.
  Dense INT8 is half of sparse INT8, and dense fp16 half of that: 2048 operations per clock and SM, as on the A100.
  16 SMs at 1.3 GHz are 42.6 TFLOPS; 8 SMs at 918, 1173 and 1020 MHz are Orin NX, its Super mode, and Orin Nano
  Super (100, 157 and 67 sparse TOPS with their DLAs, which fits).
  **Uncertain:** accumulation in fp32 may run at the full rate, as on the A100 and professional Ampere cards, or at half
  the rate, as on GeForce cards of the same generation. We found no document that says which. The figures assume the
  full rate; `halved` gives the other case. The bench predicts a board with `half_rate_uncertain` in both cases.
- **Thor** (sm_110). The data sheet of the T5000 names 2070 TFLOPS of sparse FP4, 20 SMs and 273 GB/s. Dense fp16 is
  an eighth of that, 258 TFLOPS: 8192 per clock and SM at 1.575 GHz. Only `tcgen05` products reach this rate; kernels
  built for older architectures are far slower. We assume that INT8 is as fast as FP8, which is uncertain.
- **H100 and H200** (SXM; sm_90). NVIDIA's data sheets name 1979 TFLOPS of sparse fp16, which is 989 dense: 4096 per
  clock and SM, 132 SMs, 1.83 GHz; 3.35 and 4.8 TB/s. fp32 accumulation runs at the full rate. FP32 outside the tensor
  cores (67 TFLOPS at 1.98 GHz) is converted to the same 1.83 GHz.
- **RTX 3090 and L20** are here because others published figures for them. The white paper of GA102 names 71 TFLOPS of
  dense fp16 with fp32 accumulation (twice that with fp16) and 936 GB/s for the first. For L20, 119.5 TFLOPS and
  864 GB/s are quoted from its product sheet, which we did not see.

Clocks are the highest of the data sheet: MAXN, locked, not throttled. The launch costs are assumptions, not data.
Replace them when a profile shows the gaps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from ishowtts.errors import ConfigError

# Dense fp16 operations per clock and SM, accumulating in fp32.
_SM_80, _SM_86, _SM_90, _SM_110 = 2048, 512, 4096, 8192


@dataclass(frozen=True)
class GpuSpec:
    """One GPU.

    Args:
        half_flop_per_s: Dense fp16 products with fp32 accumulation.
        single_flop_per_s: All fp32 arithmetic, without tensor cores.
        int8_op_per_s: Dense int8 products.
        bytes_per_s: Memory bandwidth of the data sheet.
        gap_s: Time between two kernels of a CUDA graph; an assumption.
        dispatch_s: CPU time to launch one kernel through torch without a graph; an assumption.
        half_rate_uncertain: Whether `half_flop_per_s` may really be half of this value.
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
        """Return the same GPU with fp32 accumulation at half the rate."""
        return replace(self, half_flop_per_s=self.half_flop_per_s / 2, half_rate_uncertain=False)


@dataclass(frozen=True)
class _Processors:
    sms: int
    clock_hz: float
    per_clock: int


def _board(
    name: str, title: str, gpu: str, memory_gb: float, bytes_per_s: float, *, processors: _Processors
) -> GpuSpec:
    """Build the specification from the number of operations per SM and clock."""
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
"""Orin Nano Super differs from Orin NX in clock and memory; the driver calls both "Orin"."""

PUBLISHED_ON: Final = (
    _board("rtx-3090", "RTX 3090", "3090", 24, 936e9, processors=_Processors(82, 1.695e9, _SM_86)),
    _board("l20", "L20", "L20", 48, 864e9, processors=_Processors(92, 2.52e9, _SM_86)),
)
"""Not target boards. The bench compares its predictions with figures that others published for them."""

LARGE_PRODUCT_SHARE: Final = 0.85
LARGE_COPY_SHARE: Final = 0.80
"""Likely share of the data sheet's rates that `engines.f5.throughput` measures: one large product, one large copy."""

_MEMORY_SHARE = (0.7, 1.13)  # share of the memory that the system leaves; a data sheet's GB may be GiB
_CLOCK_SLACK = 1.03
_SLOW = 0.7  # of the likely rates
_HALF_RATE = (0.35, 0.5)  # share of the data sheet if fp32 accumulation runs at half the rate


@dataclass(frozen=True)
class MeasuredRates:
    """Measured rates of a GPU, and the board that it is.

    Args:
        board: `None` if we have no data sheet of it.
    """

    flop_per_s: float
    bytes_per_s: float
    board: GpuSpec | None

    def __str__(self) -> str:
        """Describe the rates, as shares of the data sheet if there is one."""
        products, memory = f"products {self.flop_per_s / 1e12:.1f} TFLOPS", f"memory {self.bytes_per_s / 1e9:.0f} GB/s"
        if self.board is None:
            return f"{products}, {memory}; there is no data sheet to compare with"
        share = self.flop_per_s / self.board.half_flop_per_s
        copied = self.bytes_per_s / self.board.bytes_per_s
        low, high = _HALF_RATE
        halved = self.board.half_rate_uncertain and low < share < high
        doubt = ", as if accumulation in fp32 ran at half rate" if halved else ""
        return (
            f"{products} ({share:.0%} of the data sheet's {self.board.half_flop_per_s / 1e12:.1f}, {self.board.title}"
            f"{doubt}), {memory} ({copied:.0%} of {self.board.bytes_per_s / 1e9:.0f})"
        )

    @property
    def slow(self) -> bool:
        """Whether a known board is much slower than its data sheet suggests."""
        return self.board is not None and (
            self.flop_per_s < _SLOW * LARGE_PRODUCT_SHARE * self.board.half_flop_per_s
            or self.bytes_per_s < _SLOW * LARGE_COPY_SHARE * self.board.bytes_per_s
        )


def find(name: str) -> GpuSpec:
    """Find a board by its name. Raises ConfigError if there is none."""
    for board in (*BOARDS, *PUBLISHED_ON):
        if board.name == name:
            return board
    known = ", ".join(board.name for board in BOARDS)
    raise ConfigError([f"no board is called {name!r}; name one of {known}, or all"])


def identify(gpu: str, sms: int | None, memory_mb: float | None, clock_mhz: float | None) -> GpuSpec | None:
    """Find the board from what the GPU's driver reports; `None` if it is unknown or ambiguous.

    Only the clock tells Orin NX from its Super mode. Without the clock, the answer is `None`.
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


def _fits(memory_gb: float, nominal_gb: float) -> bool:
    least, most = _MEMORY_SHARE
    return least * nominal_gb <= memory_gb <= most * nominal_gb

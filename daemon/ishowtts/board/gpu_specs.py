"""Speed of GPUs according to their data sheets, what others reached of it, and which board a GPU is. Imports no torch.

Sources of the data sheets' figures, and the calculations:

- **Orin** (sm_87). NVIDIA's data sheets of the Jetson AGX Orin series and of the Orin NX and Orin Nano series (with
  "Super"), and the technical brief of AGX Orin. They name sparse INT8 rates of the GPU (170 TOPS of the 275 of AGX Orin
  64 GB; the other 105 belong to its DLAs, which we do not use) and FP32 rates (5.3 TFLOPS), but no dense fp16 rate.
  Dense INT8 is half of sparse INT8, and dense fp16 half of that: 2048 operations per clock and SM, as on the A100.
  16 SMs at 1.3 GHz are 42.6 TFLOPS; 8 SMs at 918, 1173 and 1020 MHz are Orin NX, its Super mode, and Orin Nano
  Super (100, 157 and 67 sparse TOPS with their DLAs, which fits).
  Accumulation in fp32 runs at this rate too: bf16, which always accumulates in fp32, reached 29.9 TFLOPS on AGX Orin
  (FlashRT), and half the rate would be 21.3. On Orin Nano fp16 reached 7.8 times the rate of fp32, like the A100.
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

`ReachedShares` has the shares of these rates that others measured. None of them is our measurement:

- **AGX Orin 64 GB**, FlashRT (github.com/flashrt-project/FlashRT, docs/hyvla05_orin_sm87.md, chameleon7b_rtx_sm87.md):
  bf16 products 21 to 24 TFLOPS at feed-forward shapes of 3,528 rows, 29.9 at 4096 cubed, and 9.5 at one shape near our
  queries, keys and values, for which cuBLAS chose badly. FlashAttention-2, 1,032 rows: 19.8 TFLOPS. Memory: copies 125
  GB/s, reads 97, weights 173. int8 (CUTLASS): 55 to 61 TOPS at 1,032 rows, 64.4 at most, 38.7 with other kernels.
- **Orin NX and Nano** have the same SMs, so they get the shares of AGX Orin. The products of an Orin Nano, at an
  unknown clock, were 7.1 to 10.9 TFLOPS (github.com/zzc0721/torch-performance-test-data, issue 110).
- **Thor**: fp16 products 97, 121 and 114 TFLOPS at 1024, 2048 and 4096 cubed, bf16 135 at most (the same, issue 151);
  fp8 240 to 270, memory 225 to 243 GB/s; attention of 1,056 rows 20 TFLOPS with CUTLASS for older GPUs, 56 with FA4
  (FlashRT, docs/chameleon_thor_sm110.md, hyvla05_thor_sm110.md, optimization-details.md).
- **H100 and H200**: fp16 products 645 TFLOPS at 2048 cubed, which has two full waves of tiles, 760 at 4096 cubed (the
  same, issue 79); an H200 788 at 8192 cubed and 4.3 TB/s. Attention with heads of 64 and 1,000 rows:
  FlashAttention-2 306 TFLOPS, cuDNN 373 (paper of FlashAttention-3). Kernels of 5 us reach less than a large copy does.
- **RTX 3090 and L20**: products of an L20 105 TFLOPS at 2048 cubed, 113 at 4096 cubed; of an RTX 3080, the same chip
  as the 3090, 55 and 62 of 59.5 (the same, issues 107 and 80).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from ishowtts.errors import ConfigError

# Dense fp16 operations per clock and SM, accumulating in fp32.
_SM_80, _SM_86, _SM_90, _SM_110 = 2048, 512, 4096, 8192


Range = tuple[float, float, float]
"""The low, the likely and the high value."""


@dataclass(frozen=True)
class ReachedShares:
    """Shares of the data sheet's rates that kernels reach, low, likely and high. `roofline.py` predicts with them.

    Args:
        products: fp16 products of F5's shapes (5 to 17 GFLOP), if their tiles fill the GPU.
        eight_bit: The same in int8 or fp8.
        attention: Heads of 64 and about 1,000 rows.
        memory: Kernels that read and write some 20 MB.
        large_product, large_copy: Likely shares of what `engines.f5.throughput` measures.
    """

    products: Range = (0.50, 0.70, 0.85)
    eight_bit: Range = (0.45, 0.60, 0.75)
    attention: Range = (0.30, 0.45, 0.65)
    memory: Range = (0.60, 0.75, 0.85)
    large_product: float = 0.85
    large_copy: float = 0.80


UNKNOWN: Final = ReachedShares()
"""For a GPU that nobody measured. Its values are our first assumptions, from before we knew of any measurement."""

_AGX_ORIN = ReachedShares(
    products=(0.49, 0.54, 0.62), eight_bit=(0.45, 0.59, 0.70), attention=(0.38, 0.45, 0.50),
    memory=(0.47, 0.61, 0.70), large_product=0.70, large_copy=0.61,
)  # fmt: skip
_ORIN = replace(_AGX_ORIN, products=(0.43, 0.54, 0.65), large_product=0.60)
_THOR = ReachedShares(
    products=(0.38, 0.45, 0.52), eight_bit=(0.40, 0.48, 0.52), attention=(0.08, 0.15, 0.22),
    memory=(0.70, 0.80, 0.89), large_product=0.44, large_copy=0.85,
)  # fmt: skip
_HOPPER = ReachedShares(
    products=(0.55, 0.67, 0.77), eight_bit=(0.45, 0.60, 0.75), attention=(0.25, 0.31, 0.38),
    memory=(0.60, 0.75, 0.90), large_product=0.76, large_copy=0.90,
)  # fmt: skip
_GA102, _AD102 = ReachedShares(products=(0.80, 0.90, 0.98)), ReachedShares(products=(0.85, 0.92, 0.95))


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
        reached: Shares of these rates that kernels reach.
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
    reached: ReachedShares


@dataclass(frozen=True)
class _Processors:
    sms: int
    clock_hz: float
    per_clock: int


def _board(
    name: str, title: str, gpu: str, memory_gb: float, bytes_per_s: float,
    *, processors: _Processors, reached: ReachedShares,
) -> GpuSpec:  # fmt: skip
    """Build the specification from the number of operations per SM and clock."""
    jetson = gpu in ("Orin", "Thor")
    half = processors.sms * processors.clock_hz * processors.per_clock
    return GpuSpec(
        name, title, gpu, processors.sms, processors.clock_hz, memory_gb, half,
        processors.sms * processors.clock_hz * 256, 2 * half, bytes_per_s,
        gap_s=2e-6 if jetson else 1e-6, dispatch_s=15e-6 if jetson else 5e-6, reached=reached,
    )  # fmt: skip


BOARDS: Final = (
    _board("agx-orin", "AGX Orin 64 GB", "Orin", 64, 204.8e9,
           processors=_Processors(16, 1.3e9, _SM_80), reached=_AGX_ORIN),
    _board("orin-nx-super", "Orin NX 16 GB Super", "Orin", 16, 102.4e9,
           processors=_Processors(8, 1.173e9, _SM_80), reached=_ORIN),
    _board("orin-nx", "Orin NX 16 GB", "Orin", 16, 102.4e9,
           processors=_Processors(8, 0.918e9, _SM_80), reached=_ORIN),
    _board("orin-nano-super", "Orin Nano 8 GB Super", "Orin", 8, 102.4e9,
           processors=_Processors(8, 1.02e9, _SM_80), reached=_ORIN),
    _board("thor", "Thor T5000", "Thor", 128, 273e9,
           processors=_Processors(20, 1.575e9, _SM_110), reached=_THOR),
    _board("h100", "H100 SXM", "H100", 80, 3.35e12,
           processors=_Processors(132, 1.83e9, _SM_90), reached=_HOPPER),
    _board("h200", "H200 SXM", "H200", 141, 4.8e12,
           processors=_Processors(132, 1.83e9, _SM_90), reached=_HOPPER),
)  # fmt: skip
"""Orin Nano Super differs from Orin NX in clock and memory; the driver calls both "Orin"."""

PUBLISHED_ON: Final = (
    _board("rtx-3090", "RTX 3090", "3090", 24, 936e9, processors=_Processors(82, 1.695e9, _SM_86), reached=_GA102),
    _board("l20", "L20", "L20", 48, 864e9, processors=_Processors(92, 2.52e9, _SM_86), reached=_AD102),
)
"""Not target boards. The bench compares its predictions with figures that others published for them."""

_MEMORY_SHARE = (0.7, 1.13)  # share of the memory that the system leaves; a data sheet's GB may be GiB
_CLOCK_SLACK = 1.03
_SLOW = 0.7  # of the likely rates


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
        board, likely = self.board, self.board.reached
        share, copied = self.flop_per_s / board.half_flop_per_s, self.bytes_per_s / board.bytes_per_s
        return (
            f"{products} ({share:.0%} of the data sheet's {board.half_flop_per_s / 1e12:.1f}, {board.title}; "
            f"expected {likely.large_product:.0%}), "
            f"{memory} ({copied:.0%} of {board.bytes_per_s / 1e9:.0f}; expected {likely.large_copy:.0%})"
        )

    @property
    def slow(self) -> bool:
        """Whether a known board is much slower than such boards usually are."""
        return self.board is not None and (
            self.flop_per_s < _SLOW * self.board.reached.large_product * self.board.half_flop_per_s
            or self.bytes_per_s < _SLOW * self.board.reached.large_copy * self.board.bytes_per_s
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

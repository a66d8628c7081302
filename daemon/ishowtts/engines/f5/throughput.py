"""Measures the throughput of this device in one large product and in copying memory, and tests its special kernels.

The doctor's probe, the benches and the engine use these figures. `kernel_choice` times the single kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ishowtts.engines.f5 import attention
from ishowtts.engines.f5.attention import Lengths
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import ELEMENTWISE
from ishowtts.errors import first_line

_LEAST_ROUNDS, _MOST_ROUNDS = 6, 1000
_LEAST_S = 0.4  # on a GPU, whose clocks need time to rise
_LARGE_SMS = 40
_FLASH_FRAMES, _FLASH_HEADS, _FLASH_WIDTH = 192, 4, 64
_FLASH_KEYS = (192, 131)
_FLASH_TOLERANCE = _FUSED_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Throughput:
    """The best throughput of several rounds.

    Args:
        flop_per_s: throughput of a product of square matrices. fp16 accumulates in fp32.
        bytes_per_s: throughput of copying one large block of memory; reading and writing are both counted.
    """

    flop_per_s: float
    bytes_per_s: float


def measure(device: str, dtype: torch.dtype) -> Throughput:
    """Measure the throughput, for about a second.

    A GPU with many processors gets larger matrices: with small ones, its launches would be measured.
    """
    large = device == "cuda" and torch.cuda.get_device_properties(0).multi_processor_count >= _LARGE_SMS
    side = 2048 if device == "cpu" else 8192 if large else 4096
    copied = 1 << 30 if large else 256 << 20
    a, b = torch.randn(side, side, device=device).to(dtype), torch.randn(side, side, device=device).to(dtype)
    product_s = _best_s(lambda: torch.nn.functional.linear(a, b), device)
    source = torch.empty(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_s = _best_s(lambda: target.copy_(source), device)
    return Throughput(2.0 * side**3 / product_s, 2.0 * copied / copy_s)


def flash_fault(device: str) -> str | None:
    """Why flash attention with a length for each segment cannot be used; `None` if its result is correct."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, len(_FLASH_KEYS), _FLASH_HEADS, _FLASH_FRAMES, _FLASH_WIDTH)
    try:
        q, k, v = torch.randn(shape, generator=generator).to(device, torch.float16)
        lengths = Lengths.of(_FLASH_KEYS, _FLASH_FRAMES, torch.device(device))
        found = attention.flash(q, k, v, lengths).float()
        exact = attention.unfused(q.float(), k.float(), v.float(), lengths)
        difference = (found - exact).abs().max().item()
    except NotImplementedError:
        return f"this torch has no flash attention for {device}"
    except (RuntimeError, TypeError) as error:  # torch was built without it, or it has another signature
        return f"flash attention with lengths failed ({first_line(error)})"
    if difference < _FLASH_TOLERANCE:
        return None
    return f"flash attention with lengths is off by {difference:.1g}"


def fused_fault(device: str) -> str | None:
    """Why our own Triton kernels cannot be used; `None` if one was compiled, ran and gave a correct result."""
    try:
        fused = ELEMENTWISE["triton"]()
    except ImportError:
        return "Triton is not installed"
    x = torch.randn(4, 8, 128, generator=torch.Generator().manual_seed(0)).to(device, torch.float16)
    scale, shift = x[0, :2].unbind()
    exact = EagerElementwise().norm(x, scale, shift).float()
    try:
        difference = (fused.norm(x, scale, shift).float() - exact).abs().max().item()
    except Exception as error:  # Triton's errors have no common parent; mostly the C compiler is missing
        return f"a Triton kernel could not be started ({first_line(error)})"
    return None if difference < _FUSED_TOLERANCE else f"a Triton kernel is off by {difference:.1g}"


def _best_s(run: Callable[[], object], device: str) -> float:
    best_s, rounds = float("inf"), 0
    begun = time.perf_counter()
    while rounds < _LEAST_ROUNDS or (
        device == "cuda" and rounds < _MOST_ROUNDS and time.perf_counter() - begun < _LEAST_S
    ):
        started = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - started)
        rounds += 1
    return best_s

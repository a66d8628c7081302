"""Measures the throughput of this device in one large product and in copying memory, and tests its special kernels.

The doctor's probe, the benches and the engine use these figures. `kernel_choice` times the single kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

import torch

from ishowtts.engines.f5 import attention
from ishowtts.engines.f5.cuda.caches import choose_assembler
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import ELEMENTWISE
from ishowtts.engines.f5.lengths import Lengths
from ishowtts.errors import first_line

Name = TypeVar("Name", bound=Hashable)

_STILL_ROUNDS = 3
_LESS = 0.99  # a best time moves if it falls by more than 1 %
_LEAST_S: Final = {"cpu": 0.5, "cuda": 0.4}  # a short pause of other programs, and the clocks of a discrete GPU
_MOST_S = 3.0
_CPU_SIDE, _CPU_COPIED = 2048, 256 << 20
_RISE_S = 2.5  # Orin's governor took up to 3 s from 306 to 1300 MHz, as others measured
_RISE_SIDE = 4096
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
    """Measure the throughput: about a second, and 2.5 s more at the first time on an integrated GPU.

    A GPU with many processors gets larger matrices: with small ones, its launches would be measured.
    """
    raise_clocks(device)
    large = device == "cuda" and torch.cuda.get_device_properties(0).multi_processor_count >= _LARGE_SMS
    side = _CPU_SIDE if device == "cpu" else 8192 if large else 4096
    copied = _CPU_COPIED if device == "cpu" else 1 << 30 if large else 256 << 20
    a, b = torch.randn(side, side, device=device).to(dtype), torch.randn(side, side, device=device).to(dtype)
    product_s = best_times_s({"product": lambda: torch.nn.functional.linear(a, b)}, device)["product"]
    source = torch.empty(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_s = best_times_s({"copy": lambda: target.copy_(source)}, device)["copy"]
    return Throughput(2.0 * side**3 / product_s, 2.0 * copied / copy_s)


@cache
def raise_clocks(device: str) -> None:
    """Multiply for 2.5 s before the first measurement of a process, if the clocks of the GPU follow its load slowly.

    An integrated GPU idles at a quarter of its clock and needs seconds to rise. What is measured first would seem slow.
    Later measurements follow work on the GPU, so the clocks are up already. Does nothing on other devices.

    Args:
        device: "cpu" or "cuda".
    """
    if device == "cuda" and torch.cuda.get_device_properties(0).is_integrated:
        _multiply(device, _RISE_S)


def _multiply(device: str, spent_s: float) -> None:
    """Keep a device busy with products for this time."""
    a = torch.randn(_RISE_SIDE, _RISE_SIDE, dtype=torch.float16, device=device)
    ends = time.perf_counter() + spent_s
    while time.perf_counter() < ends:
        torch.mm(a, a)
        torch.cuda.synchronize()


def best_times_s(
    runs: Mapping[Name, Callable[[], object]],
    device: str,
    *,
    least_s: float | None = None,
    most_s: float | None = None,
) -> dict[Name, float]:
    """Measure the best time of each run, in seconds.

    A round runs each of them once, so that all see the same clocks. Rounds go on until no best time has fallen by more
    than 1 % in three of them.

    Args:
        device: "cpu" or "cuda". On CUDA each run is waited for.
        least_s: minimum time of all rounds together; by default 0.5 s on the CPU and 0.4 s on CUDA.
        most_s: time after which no round begins; by default 3 s.
    """
    best_s = dict.fromkeys(runs, float("inf"))
    begun, still = time.perf_counter(), 0
    least_s = _LEAST_S[device] if least_s is None else least_s
    most_s = _MOST_S if most_s is None else most_s
    while (spent_s := time.perf_counter() - begun) < most_s and (still < _STILL_ROUNDS or spent_s < least_s):
        still += 1
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            run_s = time.perf_counter() - started
            if run_s < _LESS * best_s[name]:
                still = 0
            best_s[name] = min(best_s[name], run_s)
    return best_s


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


def no_assembler(device: str) -> str | None:
    """Why Triton has no assembler for this GPU, unless it brings its own; `None` if it has one. Chooses one."""
    return choose_assembler(torch.cuda.get_device_capability()) if device == "cuda" else None


def fused_fault(device: str) -> str | None:
    """Why our own Triton kernels cannot be used; `None` if one was compiled, ran and gave a correct result.

    Every use of these kernels comes after this test, so the assembler is chosen here.
    """
    no_assembler_reason = no_assembler(device)
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
        return (
            no_assembler_reason
            or f"a Triton kernel could not be started, which needs gcc and this Python's headers ({first_line(error)})"
        )
    return None if difference < _FUSED_TOLERANCE else f"a Triton kernel is off by {difference:.1g}"

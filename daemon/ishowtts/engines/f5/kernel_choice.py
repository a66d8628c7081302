"""Chooses the kernels of a model: which product, convolution, attention and elementwise kernels run on this machine.

Every candidate is measured with the model's own shapes. Nothing is guessed from the name of the device. On CUDA a
candidate must also compute correctly. `kernels` has all of them by name, `cuda.kernel_candidates` those for a GPU, and
`cuda.kernel_timing` measures them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import torch

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.cuda import kernel_timing
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights, KernelCandidates
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, PLAIN, KernelChoice
from ishowtts.f5_switches import Switches

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel")

_CPU_ROWS = 768
_CPU_ROUNDS = 3
_CPU_LONGEST_S = 0.5
_CPU_LINEARS = ("plain", "packed")
_CPU_CONVS = ("plain", "packed")
_CPU_ATTENTIONS = ("fused", "explicit")


def choose_kernels(weights: BlockWeights, switches: Switches) -> KernelChoice:
    """Choose the kernels for the device and the type of the weights.

    Args:
        weights: those of the first block.
        switches: with every `None` decided.
    """
    if weights.conv.device.type == "cuda":
        linear = "fp8" if switches.fp8 else "int8-cuda" if switches.int8 else None
        choice = choose_on_cuda(weights, linear=linear, fused=switches.fused_kernels)
    else:
        if switches.fp8:
            log.warning("this machine has no fp8 products, which need CUDA; they stay in %s", weights.conv.dtype)
        linear = "int8" if switches.int8 else None
        if not switches.cpu_kernels:
            return PLAIN if linear is None else KernelChoice.of_linear(linear)
        choice = choose_on_cpu(weights, linear=linear, fixed=bool(switches.graphs))
    log.info("kernels on this machine: %s", choice)
    return choice


def choose_on_cpu(weights: BlockWeights, *, linear: str | None, fixed: bool) -> KernelChoice:
    """Choose the fastest kernels of a CPU. The measurement takes about a second.

    Args:
        linear: the kernel of the products, even if it is not the fastest; `None`: the fastest.
        fixed: whether runs use static buffers. The explicit attention cannot see there how long the segments are.
    """
    dtype = weights.conv.dtype
    x = torch.randn(2, _CPU_ROWS // 2, weights.width).to(dtype)
    linears = _supported({name: partial(LINEARS[name], *weights.up, True) for name in _CPU_LINEARS})
    convs = _supported({name: partial(CONVS[name], weights.conv) for name in _CPU_CONVS})
    attentions = _CPU_ATTENTIONS[:1] if fixed else _CPU_ATTENTIONS
    q, k, v = (torch.randn(2, weights.heads, _CPU_ROWS, 64).to(dtype) for _ in range(3))
    return KernelChoice.of_linear(
        linear or _fastest_on_cpu({name: partial(run, x) for name, run in linears.items()}),
        conv=_fastest_on_cpu({name: partial(run, x) for name, run in convs.items()}),
        attention=_fastest_on_cpu({name: partial(ATTENTIONS[name], q, k, v, None) for name in attentions}),
    )


def _supported(makers: dict[str, Callable[[], Kernel]]) -> dict[str, Kernel]:
    """The kernels that this processor has for this type. oneDNN refuses what it would have to emulate."""
    found = {}
    for name, make in makers.items():
        with suppress(RuntimeError):
            found[name] = make()
    return found


def _fastest_on_cpu(candidates: dict[str, Callable[[], object]]) -> str:
    """The candidate with the best of a few interleaved rounds. The first round only warms up."""
    best_s = dict.fromkeys(candidates, float("inf"))
    deadline = time.perf_counter() + _CPU_LONGEST_S
    for turn in range(_CPU_ROUNDS + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            if turn > 0:
                best_s[name] = min(best_s[name], time.perf_counter() - started)
        if turn > 0 and time.perf_counter() > deadline:
            break
    log.debug("measured: %s", ", ".join(f"{name} {1000 * s:.2f} ms" for name, s in best_s.items()))
    return min(best_s, key=lambda name: best_s[name])


def choose_on_cuda(weights: BlockWeights, *, linear: str | None, fused: bool) -> KernelChoice:
    """Choose the fastest of the kernels that compute correctly on this GPU.

    Args:
        linear: the kernel of the products, even if it is not the fastest; `None`: the fastest.
        fused: whether our own Triton kernels may be chosen.
    """
    fused = fused and _triton_works(weights.conv.device)
    candidates = KernelCandidates(weights, fused=fused)
    attention = kernel_timing.fastest(candidates.attention())
    if attention == "math":
        log.warning("this GPU has no fused attention for %s: synthesis will be slow", weights.conv.dtype)
    elementwise = kernel_timing.fastest(candidates.elementwise()) if fused else "eager"
    if linear is None:
        steps = ELEMENTWISE[elementwise]()
        products = {name: kernel_timing.fastest(group) for name, group in candidates.products(steps)}
    else:
        products = dict.fromkeys(PLAIN.products, _checked(linear, candidates))
    choice = KernelChoice(
        **products,
        conv=kernel_timing.fastest(candidates.conv()),
        attention=attention,
        elementwise=elementwise,
    )
    del candidates
    torch.cuda.empty_cache()  # the streams and graphs of the measurement hold memory that nothing else can use
    return choice


def _triton_works(device: torch.device) -> bool:
    """Whether Triton compiles and runs here. It needs more than its own package, and not every machine has that."""
    fault = throughput.fused_fault(device.type)
    if fault is not None:
        log.warning(
            "synthesis is slower without our own kernels, which need Triton, gcc and this Python's headers: %s", fault
        )
    return fault is None


def _checked(linear: str, candidates: KernelCandidates) -> str:
    """The kernel if this GPU has it, else `plain`. The log tells how exact it is."""
    group = candidates.up(linear)
    found, exact = kernel_timing.result(linear, group.runs[linear]), group.runs["plain"]()
    if found is None:
        log.warning("this GPU has no %s products; they stay in %s", linear, group.dtype)
        return "plain"
    log.info("%s products are %.1e from exact ones", linear, kernel_timing.relative_error(found, exact))
    return linear

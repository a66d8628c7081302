"""Chooses the kernels of a model: which product, convolution, attention and elementwise kernels run on this machine.

Every candidate is measured with the model's own shapes. Nothing is guessed from the name of the device. On CUDA a
candidate must also compute correctly. `kernels` has all of them by name, `cuda.kernel_candidates` those for a GPU, and
`cuda.kernel_timing` measures them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import torch

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.cuda import kernel_timing
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights, EightBits, KernelCandidates
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, PLAIN, KernelChoice
from ishowtts.f5_switches import Switches

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel")

_CPU_ROWS = 768
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
        choice = choose_on_cuda(
            weights,
            eight_bits="fp8" if switches.fp8 else "int8" if switches.int8 else None,
            fused=switches.fused_kernels,
            merge_qkv=switches.folds,
        )
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
    """The candidate with the best of a few interleaved rounds."""
    for run in candidates.values():
        run()  # oneDNN makes its kernels at the first call
    best_s = throughput.best_times_s(candidates, "cpu", least_s=0.0, most_s=_CPU_LONGEST_S)
    log.debug("measured: %s", ", ".join(f"{name} {1000 * s:.2f} ms" for name, s in best_s.items()))
    return min(best_s, key=lambda name: best_s[name])


def choose_on_cuda(
    weights: BlockWeights, *, eight_bits: EightBits | None, fused: bool, merge_qkv: bool = True
) -> KernelChoice:
    """Choose the fastest of the kernels that compute correctly on this GPU.

    Args:
        eight_bits: the number format of the products, even if it is not the fastest; `None`: that of the weights.
        fused: whether our own Triton kernels may be chosen.
        merge_qkv: whether queries, keys and values are one product.
    """
    throughput.raise_clocks(weights.conv.device.type)
    fused = fused and _triton_works(weights.conv.device)
    candidates = KernelCandidates(weights, fused=fused, merge_qkv=merge_qkv)
    attention = kernel_timing.fastest(candidates.attention())
    if attention == "math":
        log.warning("this GPU has no fused attention for %s: synthesis will be slow", weights.conv.dtype)
    elementwise = kernel_timing.fastest(candidates.elementwise()) if fused else "eager"
    conv = kernel_timing.fastest(candidates.conv())
    # The products are the last, because they take the most time to compile.
    steps = ELEMENTWISE[elementwise]()
    if eight_bits is None:
        products = {name: kernel_timing.fastest(group) for name, group in candidates.products(steps)}
    else:
        products = _eight_bits(eight_bits, candidates, steps)
    del candidates
    torch.cuda.empty_cache()  # the graphs of the measurement hold memory that nothing else can use
    return KernelChoice(**products, conv=conv, attention=attention, elementwise=elementwise)


def _triton_works(device: torch.device) -> bool:
    """Whether Triton compiles and runs here. It needs more than its own package, and not every machine has that."""
    fault = throughput.fused_fault(device.type)
    if fault is not None:
        log.warning("synthesis is slower without our own kernels: %s", fault)
    return fault is None


def _eight_bits(number: EightBits, candidates: KernelCandidates, steps: Elementwise) -> dict[str, str]:
    """The fastest products of eight bits, by the names in `KernelChoice`; exact ones if this GPU has none.

    The log has how far they are from exact ones, and says so if exact ones are faster.
    """
    chosen: dict[str, str] = {}
    errors: dict[str, float] = {}
    exact_s = eight_bits_s = 0.0
    for product, group in candidates.products(steps, number):
        timings = kernel_timing.measure(group)
        exact = {name: timing for name, timing in timings.items() if name not in group.tolerances}
        rounded = {name: timing for name, timing in timings.items() if name in group.tolerances}
        plain = kernel_timing.best(exact) or group.otherwise
        chosen[product] = kernel_timing.best(rounded) or plain
        if rounded and exact:
            errors[product] = rounded[chosen[product]].error
            eight_bits_s += rounded[chosen[product]].run_s
            exact_s += exact[plain].run_s
    dtype = str(candidates.dtype).removeprefix("torch.")
    if len(errors) < len(chosen):
        lacking = ", ".join(product for product in chosen if product not in errors)
        log.warning("this GPU has no %s products for %s; they stay in %s", number, lacking, dtype)
    if errors:
        told = ", ".join(f"{product} {error:.1e}" for product, error in errors.items())
        log.info("%s products differ from exact ones by: %s", number, told)
    if eight_bits_s > exact_s:
        log.warning(
            "the products of a block take %.0f us in %s on this GPU but %.0f us in %s, which is faster and more exact: "
            "set engine.f5.precision to auto",
            1e6 * eight_bits_s, number, 1e6 * exact_s, dtype,
        )  # fmt: skip
    return chosen

"""Chooses the kernels of a model: which linear, convolution, attention and elementwise kernels run on this machine.

Every candidate is measured with the model's own shapes. Nothing is guessed from the name of the device. On CUDA a
candidate must also compute correctly, and its time is that of a captured graph, as in real runs: launches cost nothing
then. `kernels.py` has the candidates by their names.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.attention import ATTENTIONS, Lengths
from ishowtts.engines.f5.cuda_graphs import CudaCapture
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS, PLAIN, KernelChoice
from ishowtts.errors import first_line
from ishowtts.f5_switches import Switches

log = logging.getLogger(__name__)

TimedRun = Callable[[], Tensor]
Kernel = TypeVar("Kernel")

_CPU_ROWS = 768
_CPU_ROUNDS = 3
_CPU_LONGEST_S = 0.5
_CPU_LINEARS = ("plain", "packed")
_CPU_CONVS = ("plain", "packed")
_CPU_ATTENTIONS = ("fused", "explicit")

_CUDA_FRAMES = 1216  # 5 s of reference and 8 s of speech
_CUDA_SHORTER = 37  # frames by which the second segment is shorter, so that padding is tested too
_CUDA_ROUNDS, _CUDA_REPEATS = 4, 8
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def choose_kernels(weight: Tensor, bias: Tensor, conv: Tensor, heads: int, switches: Switches) -> KernelChoice:
    """Choose the kernels for the device and the type of the weights.

    Args:
        weight: [outputs, D], the first product of a feed-forward layer.
        bias: [outputs], of the same product.
        conv: [D, D / 16, 31], a positional convolution.
        switches: with every `None` decided.
    """
    if weight.device.type == "cuda":
        linear = "fp8" if switches.fp8 else "int8-cuda" if switches.int8 else None
        choice = choose_on_cuda(weight, bias, conv, heads, linear=linear, fused=switches.fused_kernels)
    else:
        if switches.fp8:
            log.warning("this machine has no fp8 products, which need CUDA; they stay in %s", weight.dtype)
        linear = "int8" if switches.int8 else None
        if not switches.cpu_kernels:
            return PLAIN if linear is None else replace(PLAIN, linear=linear)
        choice = choose_on_cpu(weight, bias, conv, heads, linear=linear, fixed=bool(switches.graphs))
    log.info("kernels on this machine: %s", choice)
    return choice


def choose_on_cpu(
    weight: Tensor, bias: Tensor, conv: Tensor, heads: int, *, linear: str | None, fixed: bool
) -> KernelChoice:
    """Choose the fastest kernels of a CPU. The measurement takes about a second.

    Args:
        linear: the kernel of the products, even if it is not the fastest; `None`: the fastest.
        fixed: whether runs use static buffers. The explicit attention cannot see there how long the segments are.
    """
    x = torch.randn(2, _CPU_ROWS // 2, weight.shape[1]).to(weight.dtype)
    linears = _supported({name: partial(LINEARS[name], weight, bias, True) for name in _CPU_LINEARS})
    convs = _supported({name: partial(CONVS[name], conv) for name in _CPU_CONVS})
    attentions = _CPU_ATTENTIONS[:1] if fixed else _CPU_ATTENTIONS
    q, k, v = (torch.randn(2, heads, _CPU_ROWS, 64).to(weight.dtype) for _ in range(3))
    return KernelChoice(
        linear=linear or _fastest_on_cpu({name: partial(run, x) for name, run in linears.items()}),
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


def choose_on_cuda(
    weight: Tensor, bias: Tensor, conv: Tensor, heads: int, *, linear: str | None, fused: bool
) -> KernelChoice:
    """Choose the fastest of the kernels that compute correctly on this GPU.

    Args:
        linear: the kernel of the products, even if it is not the fastest; `None`: the fastest.
        fused: whether our own Triton kernels may be chosen.
    """
    generator = torch.Generator(weight.device).manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=weight.device).to(weight.dtype)

    x = draw(2, _CUDA_FRAMES, weight.shape[1])
    fused = fused and _triton_works(x.device)
    convs = ("plain", "triton") if fused else ("plain",)
    attention = _choose_attention([draw(2, heads, _CUDA_FRAMES, 64) for _ in range(3)])
    if attention == "math":
        log.warning("this GPU has no fused attention for %s: synthesis will be slow", weight.dtype)
    choice = KernelChoice(
        linear=_choose_linear(weight, bias, x, linear),
        conv=_fastest_on_cuda({name: _lazy(CONVS[name], conv, x) for name in convs}, "plain", x.dtype),
        attention=attention,
        elementwise=_choose_elementwise(draw, weight.shape[1], heads) if fused else "eager",
    )
    del x
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


def _choose_linear(weight: Tensor, bias: Tensor, x: Tensor, wanted: str | None) -> str:
    names = ("plain", "cublasLt") if wanted is None else ("plain", wanted)
    runs = {name: _lazy(LINEARS[name], weight, bias, x, gelu=True) for name in names}
    if wanted is None:
        return _fastest_on_cuda(runs, "plain", x.dtype)
    found, exact = _result(wanted, runs[wanted]), runs["plain"]()
    if found is None:
        log.warning("this GPU has no %s products; they stay in %s", wanted, weight.dtype)
        return "plain"
    log.info("%s products are %.1e from exact ones", wanted, _error(found, exact))
    return wanted


def _choose_attention(qkv: list[Tensor]) -> str:
    q, k, v = qkv
    frames = (q.shape[2], q.shape[2] - _CUDA_SHORTER)
    lengths = Lengths.of(frames, q.shape[2], q.device)
    q32, k32, v32 = (part.float() for part in qkv)
    exact = ATTENTIONS["explicit"](q32, k32, v32, lengths)

    def run(name: str) -> TimedRun:
        def attend() -> Tensor:
            out = ATTENTIONS[name](q, k, v, lengths)
            return torch.where(lengths.keep[..., None], out, 0.0)

        return attend

    return _fastest_on_cuda({name: run(name) for name in ("flash", "efficient")}, "math", q.dtype, exact)


def _choose_elementwise(draw: Callable[..., Tensor], width: int, heads: int) -> str:
    """Our kernels if all of them are correct and together they are faster than single operators."""
    x, y = draw(2, _CUDA_FRAMES, width), draw(2, _CUDA_FRAMES, width)
    gate, scale, shift = draw(3, width).unbind()
    qkv = draw(2, _CUDA_FRAMES, 3, heads, 64)
    angles = torch.randn(_CUDA_FRAMES, 32, 2, device=x.device)
    keep = Lengths.of((_CUDA_FRAMES, _CUDA_FRAMES - _CUDA_SHORTER), _CUDA_FRAMES, x.device).keep
    dt = torch.tensor(0.3, device=x.device)  # made here: a capture cannot copy anything from the host

    def run(name: str) -> TimedRun:
        steps = ELEMENTWISE[name]()

        def everything() -> Tensor:
            q, k, v = steps.rotate(qkv.clone(), angles)
            parts = [
                *steps.gate_norm(x.clone(), gate, y, scale, shift),
                steps.norm(x, scale, shift),
                steps.activate_first_conv(x[:1], y, keep),
                # Only runs without padding need this variant, which are the longest and rarest. It is compiled now,
                # not while a line waits.
                steps.activate_first_conv(x[:1], y, None),
                steps.activate_second_conv(y, x[:1], y),
                *(part.transpose(1, 2).flatten(2) for part in (q, k, v)),
            ]
            flow = y[..., :100].contiguous()
            for kept in (keep[1:], None):
                state = torch.zeros(1, _CUDA_FRAMES, 100, device=x.device)
                steps.advance(state, flow, dt, torch.zeros_like(state), strength=2.0, guided=True, keep=kept)
                parts.append(state)
            return torch.cat([part.float().flatten() for part in parts])

        return everything

    return _fastest_on_cuda({name: run(name) for name in ("eager", "triton")}, "eager", x.dtype)


def _lazy(make: Callable[..., Callable[[Tensor], Tensor]], *inputs: Tensor, **options: bool) -> TimedRun:
    """A kernel that is made at its first call, from all inputs except the last, and that is applied to the last."""
    *weights, x = inputs
    made: list[Callable[[Tensor], Tensor]] = []

    def run() -> Tensor:
        if not made:
            made.append(make(*weights, **options))
        return made[0](x)

    return run


def _fastest_on_cuda(
    candidates: dict[str, TimedRun], otherwise: str, dtype: torch.dtype, exact: Tensor | None = None
) -> str:
    """The fastest candidate that agrees with `exact`, or with the result of `otherwise` if `exact` is `None`."""
    if exact is None:
        exact = candidates[otherwise]()
    correct: dict[str, TimedRun] = {}
    for name, run in candidates.items():
        found = _result(name, run)
        if found is None:
            continue
        error = _error(found, exact)
        if error <= _TOLERANCE[dtype]:
            correct[name] = run
        else:
            log.warning("the kernel %s computes wrong on this GPU (%.1e off) and is not used", name, error)
    spent_s = _times_s(correct)
    log.info("measured: %s", ", ".join(f"{name} {1e6 * s:.0f} us" for name, s in spent_s.items()))
    return min(spent_s, key=lambda name: spent_s[name], default=otherwise)


def _error(found: Tensor, exact: Tensor) -> float:
    """The relative error; infinite if a value is not a number."""
    error = float((found.float() - exact.float()).norm() / exact.float().norm())
    return error if math.isfinite(error) else math.inf


def _result(name: str, run: TimedRun) -> Tensor | None:
    """What a candidate computes; `None` if it cannot run here."""
    try:
        found = run()
        torch.cuda.synchronize()
    except Exception as error:  # Triton's errors have no common parent, and any of them means: not this kernel
        log.info("this GPU has no %s: %s", name, first_line(error))
        return None
    return found


def _repeat(run: TimedRun) -> None:
    for _ in range(_CUDA_REPEATS):
        run()


def _times_s(candidates: dict[str, TimedRun]) -> dict[str, float]:
    """The best of a few interleaved rounds for each candidate. One that cannot be captured is left out."""
    capturer = CudaCapture()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in candidates.items():
        try:
            replays[name] = capturer.capture(partial(_repeat, run))
        except RuntimeError as error:
            log.warning("the kernel %s cannot be captured and is not used: %s", name, first_line(error))
    best_s = dict.fromkeys(replays, float("inf"))
    for _ in range(_CUDA_ROUNDS):
        for name, replay in replays.items():
            torch.cuda.synchronize()
            started = time.perf_counter()
            replay()
            torch.cuda.synchronize()
            best_s[name] = min(best_s[name], (time.perf_counter() - started) / _CUDA_REPEATS)
    return best_s

"""Which kernels this GPU has, computes right with, and is fastest with: tried on the model's own shapes, never guessed
from its name. Times are those of recorded graphs, as lines run: launches cost nothing then.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ishowtts.engines.f5 import throughput
from ishowtts.engines.f5.attention import Lengths
from ishowtts.engines.f5.cuda.cuda_graphs import GraphRecorder
from ishowtts.engines.f5.kernel_registry import ATTENTIONS, CONVS, ELEMENTWISE, LINEARS, KernelChoice
from ishowtts.errors import first_line

_log = logging.getLogger(__name__)

TimedRun = Callable[[], Tensor]

_FRAMES = 1216  # 5 s of reference and 8 s of speech
_ODD = 37  # frames less of the second line, so that padding is tried too
_ROUNDS, _REPEATS = 4, 8
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def choose(weight: Tensor, bias: Tensor, conv: Tensor, heads: int, *, linear: str | None, fused: bool) -> KernelChoice:
    """The fastest of those that are right.

    Args:
        weight: [outputs, D] of a feed-forward's first product, on the GPU and of the type that the model runs with.
        conv: [D, D / 16, 31] of a positional convolution.
        linear: the kernel that the products are to have whatever is fastest; `None`: what is.
        fused: whether our own kernels may be chosen.
    """
    generator = torch.Generator(weight.device).manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=weight.device).to(weight.dtype)

    x = draw(2, _FRAMES, weight.shape[1])
    fused = fused and _ours_run(x.device)
    convs = ("plain", "triton") if fused else ("plain",)
    attention = _attention([draw(2, heads, _FRAMES, 64) for _ in range(3)])
    if attention == "math":
        _log.warning("this GPU has no fused attention for %s: synthesis will be slow", weight.dtype)
    choice = KernelChoice(
        linear=_linear(weight, bias, x, linear),
        conv=_fastest({name: _made(CONVS[name], conv, x) for name in convs}, "plain", x.dtype),
        attention=attention,
        elementwise=_elementwise(draw, weight.shape[1], heads) if fused else "eager",
    )
    del x
    torch.cuda.empty_cache()  # the streams and graphs of the measurement have memory that nothing else can take
    return choice


def _ours_run(device: torch.device) -> bool:
    """Whether Triton compiles and runs here; it needs more than its own package, and not every machine has that."""
    fault = throughput.fused_fault(device.type)
    if fault is not None:
        _log.warning(
            "synthesis is slower without our own kernels, which need Triton, gcc and this Python's headers: %s", fault
        )
    return fault is None


def _linear(weight: Tensor, bias: Tensor, x: Tensor, wanted: str | None) -> str:
    names = ("plain", "cublasLt") if wanted is None else ("plain", wanted)
    runs = {name: _made(LINEARS[name], weight, bias, x, gelu=True) for name in names}
    if wanted is None:
        return _fastest(runs, "plain", x.dtype)
    found, exact = _works(wanted, runs[wanted]), runs["plain"]()
    if found is None:
        _log.warning("this GPU has no %s products; they stay in %s", wanted, weight.dtype)
        return "plain"
    _log.info("%s products are %.1e from exact ones", wanted, _error(found, exact))
    return wanted


def _attention(qkv: list[Tensor]) -> str:
    q, k, v = qkv
    frames = (q.shape[2], q.shape[2] - _ODD)
    lengths = Lengths.of(frames, q.shape[2], q.device)
    q32, k32, v32 = (part.float() for part in qkv)
    exact = ATTENTIONS["explicit"](q32, k32, v32, lengths)

    def run(name: str) -> TimedRun:
        def attend() -> Tensor:
            out = ATTENTIONS[name](q, k, v, lengths)
            return torch.where(lengths.keep[..., None], out, 0.0)

        return attend

    return _fastest({name: run(name) for name in ("flash", "efficient")}, "math", q.dtype, exact)


def _elementwise(draw: Callable[..., Tensor], width: int, heads: int) -> str:
    """Ours where every one of them is right; that they are faster than one operator after another is measured too."""
    x, y = draw(2, _FRAMES, width), draw(2, _FRAMES, width)
    gate, scale, shift = draw(3, width).unbind()
    qkv = draw(2, _FRAMES, 3, heads, 64)
    angles = torch.randn(_FRAMES, 32, 2, device=x.device)
    keep = Lengths.of((_FRAMES, _FRAMES - _ODD), _FRAMES, x.device).keep
    dt = torch.tensor(0.3, device=x.device)  # here: nothing comes from the host in a recording

    def run(name: str) -> TimedRun:
        steps = ELEMENTWISE[name]()

        def everything() -> Tensor:
            q, k, v = steps.rotate(qkv.clone(), angles)
            parts = [
                *steps.gate_norm(x.clone(), gate, y, scale, shift),
                steps.norm(x, scale, shift),
                steps.first_embedding(x[:1], y, keep),
                # What only runs without padding need, the longest and rarest: compiled now, not while a line waits.
                steps.first_embedding(x[:1], y, None),
                steps.second_embedding(y, x[:1], y),
                *(part.transpose(1, 2).flatten(2) for part in (q, k, v)),
            ]
            flow = y[..., :100].contiguous()
            for kept in (keep[1:], None):
                state = torch.zeros(1, _FRAMES, 100, device=x.device)
                steps.advance(state, flow, dt, torch.zeros_like(state), strength=2.0, guided=True, keep=kept)
                parts.append(state)
            return torch.cat([part.float().flatten() for part in parts])

        return everything

    return _fastest({name: run(name) for name in ("eager", "triton")}, "eager", x.dtype)


def _made(make: Callable[..., Callable[[Tensor], Tensor]], *inputs: Tensor, **options: bool) -> TimedRun:
    """A kernel over its weights, made when it is first called, on the last of the inputs."""
    *weights, x = inputs
    made: list[Callable[[Tensor], Tensor]] = []

    def run() -> Tensor:
        if not made:
            made.append(make(*weights, **options))
        return made[0](x)

    return run


def _fastest(candidates: dict[str, TimedRun], otherwise: str, dtype: torch.dtype, exact: Tensor | None = None) -> str:
    """The fastest of the candidates that agree with `exact`, else with what `otherwise` computes."""
    if exact is None:
        exact = candidates[otherwise]()
    working: dict[str, TimedRun] = {}
    for name, run in candidates.items():
        found = _works(name, run)
        if found is None:
            continue
        error = _error(found, exact)
        if error <= _TOLERANCE[dtype]:
            working[name] = run
        else:
            _log.warning("the kernel %s computes wrong on this GPU (%.1e off) and is not used", name, error)
    spent_s = _times_s(working)
    _log.info("measured: %s", ", ".join(f"{name} {1e6 * s:.0f} us" for name, s in spent_s.items()))
    return min(spent_s, key=lambda name: spent_s[name], default=otherwise)


def _error(found: Tensor, exact: Tensor) -> float:
    """Infinite where something is no number."""
    error = float((found.float() - exact.float()).norm() / exact.float().norm())
    return error if math.isfinite(error) else math.inf


def _works(name: str, run: TimedRun) -> Tensor | None:
    """What it computes; `None` where it cannot."""
    try:
        found = run()
        torch.cuda.synchronize()
    except Exception as error:  # Triton's errors have no common parent, and any of them means: not this one
        _log.info("this GPU has no %s: %s", name, first_line(error))
        return None
    return found


def _repeat(run: TimedRun) -> None:
    for _ in range(_REPEATS):
        run()


def _times_s(candidates: dict[str, TimedRun]) -> dict[str, float]:
    """Side by side, the best of a few rounds; what cannot be recorded is not there."""
    recorder = GraphRecorder()
    replays: dict[str, Callable[[], None]] = {}
    for name, run in candidates.items():
        try:
            replays[name] = recorder.record(partial(_repeat, run))
        except RuntimeError as error:
            _log.warning("the kernel %s cannot be recorded and is not used: %s", name, first_line(error))
    best_s = dict.fromkeys(replays, float("inf"))
    for _ in range(_ROUNDS):
        for name, replay in replays.items():
            torch.cuda.synchronize()
            started = time.perf_counter()
            replay()
            torch.cuda.synchronize()
            best_s[name] = min(best_s[name], (time.perf_counter() - started) / _REPEATS)
    return best_s

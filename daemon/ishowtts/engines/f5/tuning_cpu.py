"""Which kernels this processor is fastest with: a measurement of about a second, never its name."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ishowtts.engines.f5.kernel_registry import ATTENTIONS, CONVS, LINEARS, KernelChoice

_log = logging.getLogger(__name__)

KernelName = TypeVar("KernelName")

_ROWS = 768
_ROUNDS = 3
_LONGEST_S = 0.5

_CPU_LINEARS = ("plain", "packed")
_CPU_CONVS = ("plain", "packed")
_CPU_ATTENTIONS = ("fused", "explicit")


def choose(weight: Tensor, bias: Tensor, conv: Tensor, heads: int, *, linear: str | None, fixed: bool) -> KernelChoice:
    """Measure with weights of the model, of the type that it will run with.

    Args:
        weight: [outputs, D] of a feed-forward's first product.
        conv: [D, D / 16, 31] of a positional convolution.
        linear: the kernel of the products, whichever is the fastest; `None`: the fastest.
        fixed: runs stand on stages, where the explicit attention cannot see how long they are.
    """
    x = torch.randn(2, _ROWS // 2, weight.shape[1]).to(weight.dtype)
    linears = _made({name: partial(LINEARS[name], weight, bias, True) for name in _CPU_LINEARS})
    convs = _made({name: partial(CONVS[name], conv) for name in _CPU_CONVS})
    attentions = _CPU_ATTENTIONS[:1] if fixed else _CPU_ATTENTIONS
    q, k, v = (torch.randn(2, heads, _ROWS, 64).to(weight.dtype) for _ in range(3))
    return KernelChoice(
        linear=linear or _fastest({name: partial(run, x) for name, run in linears.items()}),
        conv=_fastest({name: partial(run, x) for name, run in convs.items()}),
        attention=_fastest({name: partial(ATTENTIONS[name], q, k, v, None) for name in attentions}),
    )


def _made(makers: dict[str, Callable[[], KernelName]]) -> dict[str, KernelName]:
    """Those that this processor has for this type: oneDNN refuses what it would have to emulate."""
    found = {}
    for name, make in makers.items():
        with suppress(RuntimeError):
            found[name] = make()
    return found


def _fastest(candidates: dict[str, Callable[[], object]]) -> str:
    """Side by side, the best of a few rounds each; the first round only warms."""
    best_s = dict.fromkeys(candidates, float("inf"))
    deadline = time.perf_counter() + _LONGEST_S
    for turn in range(_ROUNDS + 1):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            if turn > 0:
                best_s[name] = min(best_s[name], time.perf_counter() - started)
        if turn > 0 and time.perf_counter() > deadline:
            break
    _log.debug("measured: %s", ", ".join(f"{name} {1000 * s:.2f} ms" for name, s in best_s.items()))
    return min(best_s, key=lambda name: best_s[name])

"""The kernels that a GPU chooses from, in groups that compute the same.

Each group runs at the model's own shapes: two branches of 5 s of reference and 8 s of speech. `kernel_choice` takes the
fastest of each, and `ishowtts bench kernels` shows all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import CONV_GROUPS, CONV_TAPS, HEAD, MELS
from ishowtts.engines.f5.block_kernels import (
    FUSED,
    FUSED_INT8,
    make_qkv,
    make_residual,
    make_up,
    takes_quantised_rows,
)
from ishowtts.engines.f5.block_steps import Activations
from ishowtts.engines.f5.cuda import attention_candidates, eager_rows
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, KernelOutput, TimedRun
from ishowtts.engines.f5.cuda.tiles import INT8_TILES, TILES
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE
from ishowtts.engines.f5.lengths import Lengths

log = logging.getLogger(__name__)

EightBits: TypeAlias = Literal["int8", "fp8"]

Made = TypeVar("Made")

FRAMES = 1248  # the bucket of 5 s of reference and 8 s of speech; both branches fill the last tile of rows only half
_SHORTER = 37  # frames by which the second segment is shorter, so that padding is tested too
_EIGHT_BITS_TOLERANCE = 0.1  # e4m3 rounds by up to 0.06; a scale that is missing is off by more than 1

_LIBRARY_PRODUCTS = {
    "qkv": ("plain", "mm", "split"),
    "out": ("plain", "mm"),
    "up": ("plain", "cublasLt", "mm"),
    "down": ("plain", "mm"),
}
_LONGEST_COMPILE_S = 100.0
"""Time after which none of our own products is compiled any more: a third of the deadline of a load (300 s).

One of them takes 0.3 to 0.7 s to compile on a Zen 3 core. All sixteen take 7 s there, and with the other kernels 11 s.
On the slow cores of an Orin we expect half a minute. Later starts find them compiled.
"""


@dataclass(frozen=True)
class BlockWeights:
    """Weights of one transformer block and of a positional convolution, to measure kernels with.

    Attributes:
        qkv, out, up, down: weight [outputs, inputs] and bias [outputs] of each product.
        conv: [D, D / 16, 31].
        rotated_heads: number of heads whose queries and keys know their positions; `None`: all of them.
    """

    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: tuple[Tensor, Tensor]
    conv: Tensor
    heads: int
    rotated_heads: int | None = None

    @property
    def width(self) -> int:
        """D, the width of the residual stream."""
        return self.up[0].shape[1]


class KernelCandidates:
    """The groups of candidates for these weights, on the device and in the type of the weights.

    Args:
        fused: whether our own Triton kernels are candidates.
        merge_qkv: whether queries, keys and values are one product. Our own product computes only that.

    Attributes:
        dtype: the type of the weights.
    """

    def __init__(self, weights: BlockWeights, *, fused: bool, merge_qkv: bool = True) -> None:
        self._weights = weights
        self._fused, self._merge_qkv = fused, merge_qkv
        self._compile_until_s = time.monotonic() + _LONGEST_COMPILE_S
        self._device, self.dtype = weights.conv.device, weights.conv.dtype
        self._generator = torch.Generator(self._device).manual_seed(0)
        self._rows = 2 * FRAMES

    def conv(self) -> CandidateGroup:
        """The positional convolution of both branches."""
        weight, x = self._weights.conv, self._draw(2, FRAMES, self._weights.width)
        names = ["plain", *self._own(CONVS)]
        runs = {name: _lazy(partial(CONVS[name], weight), lambda conv: conv(x)) for name in names}
        flop = 2.0 * self._rows * self._weights.width * (self._weights.width // CONV_GROUPS) * CONV_TAPS
        return CandidateGroup("convolution", runs, "plain", self.dtype, flop=flop)

    def attention(self) -> CandidateGroup:
        """The attention of a padded batch of two."""
        frames = (FRAMES, FRAMES - _SHORTER)
        return attention_candidates.attention_group(self._draw, self._weights.heads, frames, fused=self._fused)

    def elementwise(self) -> CandidateGroup:
        """All steps between the products, one after the other."""
        width, heads = self._weights.width, self._weights.heads
        x, y = self._draw(2, FRAMES, width), self._draw(2, FRAMES, width)
        gate, scale, shift = self._draw(3, width).unbind()
        qkv = self._draw(2, FRAMES, 3, heads, HEAD)
        angles = self._angles()
        keep = Lengths.of((FRAMES, FRAMES - _SHORTER), FRAMES, self._device).keep
        dt = torch.tensor(0.3, device=self._device)  # made here: a capture cannot copy anything from the host

        def run(name: str) -> TimedRun:
            steps = ELEMENTWISE[name]()

            def everything() -> KernelOutput:
                q, k, v = steps.rotate(qkv.clone(), angles)
                parts = [
                    *steps.gate_norm(x.clone(), gate, y, scale, shift),
                    steps.norm(x, scale, shift),
                    steps.activate_first_conv(x[:1], y, keep),
                    # Only runs without padding need this variant, which are the longest and rarest. It is compiled
                    # now, not while a line waits.
                    steps.activate_first_conv(x[:1], y, None),
                    steps.activate_second_conv(y, x[:1], y),
                    q,
                    k,
                    v,
                ]
                flow = y[..., :MELS].contiguous()
                for kept in (keep[1:], None):
                    state = torch.zeros(1, FRAMES, MELS, device=self._device)
                    steps.advance(state, flow, dt, torch.zeros_like(state), strength=2.0, guided=True, keep=kept)
                    parts.append(state)
                return tuple(parts)

            return everything

        names = ["eager", *self._own(ELEMENTWISE)]
        return CandidateGroup("steps between the products", {name: run(name) for name in names}, "eager", self.dtype)

    def products(
        self, elementwise: Elementwise, eight_bits: EightBits | None = None
    ) -> Iterator[tuple[str, CandidateGroup]]:
        """The four products of a block, each with what follows it, by their names in `KernelChoice`.

        Args:
            elementwise: the steps between the products.
            eight_bits: adds the products in this number format to each group, with `tolerances` of their own.
        """
        weights, width = self._weights, self._weights.width
        inputs = width, weights.out[0].shape[1], weights.down[0].shape[1]
        x, attended, expanded = (self._draw(2, FRAMES, columns) for columns in inputs)
        angles, modulation = self._angles(), self._draw(3, width).unbind()
        quantised = eager_rows.quantised(x)

        def given(name: str) -> Activations:
            return quantised if takes_quantised_rows(name) else x  # as the norm before it leaves them

        def qkv(name: str) -> TimedRun:
            heads, rotated_heads = weights.heads, weights.rotated_heads
            make = partial(make_qkv, name, *weights.qkv, elementwise, heads=heads, rotated_heads=rotated_heads)
            return _lazy(make, lambda step: step(given(name), angles))

        def up(name: str) -> TimedRun:
            return _lazy(partial(make_up, name, *weights.up), lambda step: step(given(name)))

        def residual(pair: tuple[Tensor, Tensor], y: Tensor, name: str) -> TimedRun:
            make = partial(make_residual, name, *pair, elementwise, quantise=True)
            # Each gets a copy of the residual stream, because most kernels overwrite it.
            return _lazy(make, lambda step: step(y, x.clone(), *modulation))

        out, down = partial(residual, weights.out, attended), partial(residual, weights.down, expanded)
        for product, run in (("qkv", qkv), ("out", out), ("up", up), ("down", down)):
            names, rounded = self._product_names(product, eight_bits)
            runs = {name: run(name) for name in (*names, *rounded)}
            flop = 2.0 * self._rows * getattr(weights, product)[0].numel()
            tolerances = dict.fromkeys(rounded, _EIGHT_BITS_TOLERANCE)
            yield product, CandidateGroup(product, runs, "plain", self.dtype, flop=flop, tolerances=tolerances)

    def _product_names(self, product: str, eight_bits: EightBits | None) -> tuple[list[str], list[str]]:
        """The candidates that round as the type of the weights does, and those that round to eight bits."""
        one_product = product != "qkv" or self._merge_qkv
        exact = list(_LIBRARY_PRODUCTS[product]) if one_product else ["plain"]
        rounded = {None: [], "int8": ["int8-cuda"], "fp8": ["fp8"]}[eight_bits]
        if one_product and self._fused and self.dtype is not torch.float32 and self._has_time(product):
            if eight_bits is None:
                exact += [FUSED + tile.name for tile in TILES]
            elif eight_bits == "int8":
                rounded += [FUSED_INT8 + tile.name for tile in INT8_TILES]
        return exact, rounded

    def _has_time(self, product: str) -> bool:
        """Whether there is time to compile more kernels. Those of earlier starts are compiled already."""
        if time.monotonic() < self._compile_until_s:
            return True
        log.warning("kernels take so long to compile here that our own are not tried for the product %r", product)
        return False

    def _own(self, kernels: Iterable[str]) -> list[str]:
        """Those of these names that are our own kernels; none if they must not be used."""
        return [name for name in kernels if name.startswith("triton")] if self._fused else []

    def _draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, device=self._device).to(self.dtype)

    def _angles(self) -> Tensor:
        turns = torch.randn(FRAMES, HEAD // 2, generator=self._generator, device=self._device)
        return torch.stack((turns.cos(), turns.sin()), dim=-1)


def _lazy(make: Callable[[], Made], use: Callable[[Made], KernelOutput]) -> TimedRun:
    """A kernel that is made at its first call: the making may fail, as the call may."""
    made: list[Made] = []

    def run() -> KernelOutput:
        if not made:
            made.append(make())
        return use(made[0])

    return run

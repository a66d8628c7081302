"""The kernels that a GPU chooses from, in groups that compute the same.

Each group runs at the model's own shapes: two branches of 5 s of reference and 8 s of speech. `kernel_choice` takes the
fastest of each, and `ishowtts bench kernels` shows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from ishowtts.engines.f5.attention import ATTENTIONS, Lengths
from ishowtts.engines.f5.block_steps import HEAD, ResidualStep, plain
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, TimedRun
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, make_qkv, make_residual, make_up

Made = TypeVar("Made")

_FRAMES = 1216  # 5 s of reference and 8 s of speech
_SHORTER = 37  # frames by which the second segment is shorter, so that padding is tested too
_MELS = 100
_CONV_TAPS, _CONV_GROUPS = 31, 16


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
    """

    def __init__(self, weights: BlockWeights, *, fused: bool) -> None:
        self._weights = weights
        self._fused = fused
        self._device, self._dtype = weights.conv.device, weights.conv.dtype
        self._generator = torch.Generator(self._device).manual_seed(0)
        self._rows = 2 * _FRAMES

    def conv(self) -> CandidateGroup:
        """The positional convolution of both branches."""
        weight, x = self._weights.conv, self._draw(2, _FRAMES, self._weights.width)
        names = ("plain", "triton") if self._fused else ("plain",)
        runs = {name: _lazy(partial(CONVS[name], weight), lambda conv: conv(x)) for name in names}
        flop = 2.0 * self._rows * self._weights.width * (self._weights.width // _CONV_GROUPS) * _CONV_TAPS
        return self._group("convolution", runs, "plain", flop=flop)

    def attention(self) -> CandidateGroup:
        """The attention of a padded batch of two."""
        q, k, v = (self._draw(2, self._weights.heads, _FRAMES, HEAD) for _ in range(3))
        frames = (_FRAMES, _FRAMES - _SHORTER)
        lengths = Lengths.of(frames, _FRAMES, self._device)
        exact = ATTENTIONS["explicit"](q.float(), k.float(), v.float(), lengths)

        def run(name: str) -> TimedRun:
            def attend() -> Tensor:
                out = ATTENTIONS[name](q, k, v, lengths)
                return torch.where(lengths.keep[..., None], out, 0.0)

            return attend

        flop = sum(4.0 * count * count * HEAD * self._weights.heads for count in frames)
        return self._group("attention", {name: run(name) for name in ("flash", "efficient")}, "math", exact, flop=flop)

    def elementwise(self) -> CandidateGroup:
        """All steps between the products, one after the other."""
        width, heads = self._weights.width, self._weights.heads
        x, y = self._draw(2, _FRAMES, width), self._draw(2, _FRAMES, width)
        gate, scale, shift = self._draw(3, width).unbind()
        qkv = self._draw(2, _FRAMES, 3, heads, HEAD)
        angles = self._angles()
        keep = Lengths.of((_FRAMES, _FRAMES - _SHORTER), _FRAMES, self._device).keep
        dt = torch.tensor(0.3, device=self._device)  # made here: a capture cannot copy anything from the host

        def run(name: str) -> TimedRun:
            steps = ELEMENTWISE[name]()

            def everything() -> Tensor:
                q, k, v = steps.rotate(qkv.clone(), angles)
                parts = [
                    *steps.gate_norm(x.clone(), gate, y, scale, shift),
                    steps.norm(x, scale, shift),
                    steps.activate_first_conv(x[:1], y, keep),
                    # Only runs without padding need this variant, which are the longest and rarest. It is compiled
                    # now, not while a line waits.
                    steps.activate_first_conv(x[:1], y, None),
                    steps.activate_second_conv(y, x[:1], y),
                    *(part.transpose(1, 2).flatten(2) for part in (q, k, v)),
                ]
                flow = y[..., :_MELS].contiguous()
                for kept in (keep[1:], None):
                    state = torch.zeros(1, _FRAMES, _MELS, device=self._device)
                    steps.advance(state, flow, dt, torch.zeros_like(state), strength=2.0, guided=True, keep=kept)
                    parts.append(state)
                return torch.cat([part.float().flatten() for part in parts])

            return everything

        names = ("eager", "triton") if self._fused else ("eager",)
        return self._group("steps between the products", {name: run(name) for name in names}, "eager")

    def products(self, elementwise: Elementwise) -> Iterator[tuple[str, CandidateGroup]]:
        """The four products of a block, each with what follows it, by their names in `KernelChoice`."""
        yield "qkv", self.qkv(elementwise)
        yield "out", self._residual("out", self._weights.out, elementwise)
        yield "up", self.up()
        yield "down", self._residual("down", self._weights.down, elementwise)

    def qkv(self, elementwise: Elementwise, *more: str) -> CandidateGroup:
        """Queries, keys and values. `more`: kernels that are not exact."""
        weights, x, angles = self._weights, self._draw(2, _FRAMES, self._weights.width), self._angles()

        def run(name: str) -> TimedRun:
            make = partial(
                make_qkv, name, *weights.qkv, elementwise, heads=weights.heads, rotated_heads=weights.rotated_heads
            )
            return _lazy(make, lambda step: torch.stack(step(x, angles)))

        return self._group("qkv", {name: run(name) for name in ("plain", *more)}, "plain", flop=self._flop(weights.qkv))

    def up(self, *more: str) -> CandidateGroup:
        """The first product of the feed-forward layer, and GELU. `more`: kernels that are not exact."""
        x = self._draw(2, _FRAMES, self._weights.width)
        runs = {
            name: _lazy(partial(make_up, name, *self._weights.up), lambda step: step(x))
            for name in ("plain", "cublasLt", *more)
        }
        return self._group("up", runs, "plain", flop=self._flop(self._weights.up))

    def _residual(self, which: str, pair: tuple[Tensor, Tensor], elementwise: Elementwise) -> CandidateGroup:
        y = self._draw(2, _FRAMES, pair[0].shape[1])
        x = self._draw(2, _FRAMES, self._weights.width)
        gate, scale, shift = self._draw(3, self._weights.width).unbind()

        def run(name: str) -> TimedRun:
            make = partial(make_residual, name, *pair, elementwise)

            def use(step: ResidualStep) -> Tensor:
                total, normed = step(y, x.clone(), gate, scale, shift)
                return torch.stack((total, plain(normed)))

            return _lazy(make, use)

        return self._group(which, {name: run(name) for name in ("plain",)}, "plain", flop=self._flop(pair))

    def _group(
        self, name: str, runs: dict[str, TimedRun], otherwise: str, exact: Tensor | None = None, *, flop: float = 0.0
    ) -> CandidateGroup:
        return CandidateGroup(name, runs, otherwise, self._dtype, exact, flop)

    def _flop(self, pair: tuple[Tensor, Tensor]) -> float:
        return 2.0 * self._rows * pair[0].numel()

    def _draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, device=self._device).to(self._dtype)

    def _angles(self) -> Tensor:
        turns = torch.randn(_FRAMES, HEAD // 2, generator=self._generator, device=self._device)
        return torch.stack((turns.cos(), turns.sin()), dim=-1)


def _lazy(make: Callable[[], Made], use: Callable[[Made], Tensor]) -> TimedRun:
    """A kernel that is made at its first call: the making may fail, as the call may."""
    made: list[Made] = []

    def run() -> Tensor:
        if not made:
            made.append(make())
        return use(made[0])

    return run

"""Lists the kernels of one segment with their operations and bytes, from the architecture alone. Imports no torch.

Operations count for products, attention and convolutions; a multiplication and an addition are two operations.
Elementwise kernels count by the bytes that they move. Each operand counts once; if a kernel reads it twice, its
efficiency is lower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

from ishowtts.engines.f5.architecture import CONV_GROUPS, CONV_TAPS, HOP, MELS, RATE_HZ, DitConfig

KernelKind = Literal["products", "attention", "convolution", "elementwise"]
Fusion = Literal["epilogues", "fused", "compiled", "eager"]
EightBit = Literal["separate", "fused"]

_TILE = 128  # rows and columns of a product per block of threads
_VOCOS_DIM, _VOCOS_MLP, _VOCOS_LAYERS, _VOCOS_TAPS, _VOCOS_OUT = 512, 1536, 8, 7, 1026
_TOKENS_PER_S = 15.0  # in English; the text encoder is a thousandth of the work
_SINGLE, _HALF = 4, 2


@dataclass(frozen=True)
class Work:
    """One run of the model.

    Args:
        batch: Number of segments of this length in the run.
    """

    reference_s: float
    speech_s: float
    nfe_step: int
    batch: int = 1

    @property
    def speech_frames(self) -> int:
        """Frames of the speech of one segment."""
        return round(self.speech_s * RATE_HZ / HOP)

    @property
    def reference_frames(self) -> int:
        """Frames of the reference of one segment."""
        return round(self.reference_s * RATE_HZ / HOP)

    @property
    def frames(self) -> int:
        """Frames of reference and speech of one segment: N."""
        return self.reference_frames + self.speech_frames


@dataclass(frozen=True)
class Implementation:
    """A way to run the model.

    Args:
        half: fp16 products with fp32 accumulation. Otherwise fp32 products without tensor cores.
        casts: Weights are fp32 and cast in every evaluation, as autocast does inside a compiled graph.
        residual_bytes: Bytes of one value of the residual stream.
        fusion: How elementwise operations are fused. "epilogues": rotary, gate and residual are inside the products.
        folded: AdaLN is a table; queries, keys and values are one product; voice, text and the part of the noisy mel
            that both branches share are projected once.
        captured: Whether an evaluation is a CUDA graph.
        vocoder_half: Whether the vocoder's backbone is fp16.
        ends_captured: Whether the text encoder and the vocoder are CUDA graphs; then the vocoder is padded too.
        frame_step: Runs are padded to a multiple of this number of frames.
        eight_bit: The four products of a block are in int8 or fp8. "separate": quantising, scales, bias and GELU are
            kernels of their own. "fused": they are in the epilogues of the norm and of the product, except for the
            inputs of `down` and of attention's output, which are quantised by a kernel each.
    """

    name: str
    half: bool
    casts: bool
    residual_bytes: int
    fusion: Fusion
    folded: bool
    captured: bool
    vocoder_half: bool
    ends_captured: bool = False
    frame_step: int = 1
    eight_bit: EightBit | None = None


OURS: Final = Implementation(
    "ours", True, False, _HALF, "epilogues", folded=True, captured=True, vocoder_half=True,
    ends_captured=True, frame_step=32,
)  # fmt: skip
COMPILED: Final = Implementation(
    "torch.compile", True, True, _SINGLE, "compiled", folded=False, captured=True, vocoder_half=False
)
"""Upstream through torch.compile with max-autotune (and so CUDA graphs) under fp16 autocast, with both branches as one
batch. A system before this one ran the model like that."""
UPSTREAM: Final = Implementation(
    "upstream", True, False, _HALF, "eager", folded=False, captured=False, vocoder_half=False
)
UPSTREAM_FP32: Final = Implementation("upstream fp32", False, False, _SINGLE, "eager", folded=False, captured=False,
                           vocoder_half=False)  # fmt: skip


@dataclass(frozen=True)
class KernelWork:
    """Launches of one kernel with one shape.

    Args:
        calls: Number of calls in the whole segment.
        flop, bytes: Operations and bytes of one call, without those of an epilogue.
        tiles: Blocks of threads of one call; `None` if they fill any GPU.
        half: Whether it runs in fp16 on tensor cores. Otherwise it runs in fp32.
        captured: Whether it is part of a CUDA graph.
        in_loop: Whether it belongs to the step loop. Otherwise it runs once per segment.
        eight_bit: Whether its operations are in int8 or fp8.
        epilogue_bytes: What its epilogue reads beside the result. The arithmetic of the same tile does not hide it.
    """

    name: str
    kind: KernelKind
    calls: int
    flop: float
    bytes: float
    tiles: int | None
    half: bool
    captured: bool
    in_loop: bool
    eight_bit: bool = False
    epilogue_bytes: float = 0.0


def kernels(dit: DitConfig, work: Work, implementation: Implementation) -> list[KernelWork]:
    """List all launches of one segment, one entry for each shape."""
    size = _Size(dit, work, implementation)
    return [*_blocks(size), *_adaln(size), *_ends(size), *_text(size), *_condition(size), *_vocoder(size)]


@dataclass(frozen=True)
class _Size:
    """Sizes that several kernels share, and functions that make kernels."""

    dit: DitConfig
    work: Work
    implementation: Implementation

    @property
    def inner(self) -> int:
        return self.dit.heads * self.dit.dim_head

    @property
    def frames(self) -> int:
        """Frames of one segment with its padding."""
        step = self.implementation.frame_step
        return ceil(self.work.frames / step) * step

    @property
    def branch_rows(self) -> int:
        """Rows of one branch: B x N."""
        return self.work.batch * self.frames

    @property
    def rows(self) -> int:
        """Rows of both branches: 2B x N."""
        return 2 * self.branch_rows

    @property
    def item(self) -> int:
        """Bytes of an activation."""
        return _HALF if self.implementation.half else _SINGLE

    @property
    def values(self) -> int:
        """Number of values of an activation of full width: 2B x N x D."""
        return self.rows * self.dit.dim

    def kernel(
        self, name: str, kind: KernelKind, times: int, work: tuple[float, float], tiles: int | None = None
    ) -> KernelWork:
        """Describe a kernel of the step loop. It runs `times` per evaluation; `work` is operations and bytes."""
        return KernelWork(name, kind, times * self.work.nfe_step, *work, tiles, self.implementation.half,
                      self.implementation.captured, in_loop=True)  # fmt: skip

    def moved(self, name: str, times: int, size: float) -> KernelWork:
        """Describe an elementwise kernel of the step loop."""
        return self.kernel(name, "elementwise", times, (0.0, size))

    def product(
        self, name: str, times: int, rows: int, k: int, n: int, *, in_block: bool = False, epilogue_bytes: float = 0.0
    ) -> KernelWork:
        """Describe a product of the step loop: [rows, k] by [k, n]. Those in a block may be in eight bits."""
        eight_bit = self.implementation.eight_bit if in_block else None
        flop, size = _product(rows, k, n, self.item)
        if eight_bit is not None:
            out = _SINGLE if eight_bit == "separate" else self.item
            size = float(rows * k + k * n + rows * n * out)
        kernel = self.kernel(name, "products", times, (flop, size), _tiles(rows, n))
        return replace(kernel, eight_bit=eight_bit is not None, epilogue_bytes=epilogue_bytes)

    def once(
        self, name: str, kind: KernelKind, times: int, work: tuple[float, float],
        *, half: bool = False, captured: bool = False,
    ) -> KernelWork:  # fmt: skip
        """Describe a kernel outside the step loop: it runs `times` for each segment."""
        return KernelWork(name, kind, times * self.work.batch, *work, None, half, captured, in_loop=False)


def _blocks(size: _Size) -> Iterator[KernelWork]:
    """Kernels of the transformer blocks."""
    dit, depth, rows, item = size.dit, size.dit.depth, size.rows, size.item
    dim, inner, wide = dit.dim, size.inner, dit.ff_mult * dit.dim
    pieces = 1 if size.implementation.folded else 3
    yield size.product("queries, keys, values", pieces * depth, rows, dim, 3 * inner // pieces, in_block=True)
    branches = 2 * size.work.batch
    # Queries of the padding are computed, but no query sees its keys.
    arithmetic = 4.0 * branches * size.frames * size.work.frames * inner
    yield size.kernel("attention", "attention", depth, (arithmetic, 4.0 * rows * inner * item),
                      branches * dit.heads * ceil(size.frames / _TILE))  # fmt: skip
    residual = float(size.values * size.implementation.residual_bytes) * (size.implementation.fusion == "epilogues")
    yield size.product("attention's output", depth, rows, inner, dim, in_block=True, epilogue_bytes=residual)
    yield size.product("up", depth, rows, dim, wide, in_block=True)
    yield size.product("down", depth, rows, wide, dim, in_block=True, epilogue_bytes=residual)
    yield from _between(size, depth, rows * inner, rows * wide)
    if size.implementation.eight_bit is not None:
        yield from _quantising(size, depth, inner, wide)


def _between(size: _Size, depth: int, heads: int, wide: int) -> Iterator[KernelWork]:
    """Elementwise kernels between the products. `heads` and `wide` are values of attention and feed-forward."""
    values, item, residual = size.values, size.item, size.implementation.residual_bytes
    fusion = size.implementation.fusion
    if fusion == "eager":
        yield size.moved("norm", 2 * depth + 1, values * 2 * residual)
        yield size.moved("scale, shift", 2 * (2 * depth + 1), values * 2 * residual)
        yield size.moved("rotary", 2 * 7 * depth, heads * 2 * _SINGLE)  # in fp32; queries and keys, seven kernels each
        yield size.moved("heads together", depth, heads * 2 * item)
        yield size.moved("GELU", depth, wide * 2 * item)
        yield size.moved("gate", 2 * depth, values * 2 * item)
        yield size.moved("residual", 2 * depth, values * 3 * residual)
        return
    normed = 1 if size.implementation.eight_bit == "fused" else item
    if fusion == "epilogues":
        yield size.moved("norm, modulation", 2 * depth + 1, values * (residual + normed))
        return
    yield size.moved("norm, modulation", 1, values * (residual + normed))
    yield size.moved("rotary", depth, heads * 4 * item)
    if fusion == "compiled":
        yield size.moved("GELU", depth, wide * 2 * item)
    yield size.moved("gate, residual, norm", 2 * depth, values * (2 * residual + item + normed))


def _quantising(size: _Size, depth: int, inner: int, wide: int) -> Iterator[KernelWork]:
    """Kernels around products in eight bits: quantising their inputs, and, if nothing is fused, scaling the results."""
    dim, rows, item = size.dit.dim, size.rows, size.item
    if size.implementation.eight_bit == "fused":
        inputs: tuple[int, ...] = (inner, wide)  # the norm quantises the others
    else:
        inputs = (dim, inner, dim, wide)
        for columns in (3 * inner, dim, wide, dim):
            yield size.moved("scales, bias, GELU", depth, rows * columns * (_SINGLE + item))
    for columns in inputs:
        yield size.moved("to eight bits", depth, rows * columns * (item + 1))


def _adaln(size: _Size) -> Iterator[KernelWork]:
    """Projections of the time if they are not a table, and the cast of all weights if autocast does it."""
    if size.implementation.folded:
        return
    dit, branches = size.dit, 2 * size.work.batch
    yield size.product("AdaLN's projections", dit.depth, branches, dit.dim, 6 * dit.dim)
    yield size.product("AdaLN's last", 1, branches, dit.dim, 2 * dit.dim)
    if size.implementation.casts:
        block = dit.dim * (4 * size.inner + 2 * dit.ff_mult * dit.dim + 6 * dit.dim)
        yield size.moved("weights to fp16", 7 * dit.depth, block * (_SINGLE + _HALF) / 7)


def _ends(size: _Size) -> Iterator[KernelWork]:
    """Kernels from the noisy mel to the blocks, and from the blocks to the next state."""
    dit, item = size.dit, size.item
    shared = size.implementation.folded
    first = size.branch_rows if shared else size.rows
    yield size.product("input projection", 1, first, MELS if shared else 2 * MELS + dit.text_dim, dit.dim)
    for rows in (first, size.rows):
        yield size.kernel("positional convolutions", "convolution", 1, _positional(dit, rows, item),
                          ceil(rows / _TILE) * CONV_GROUPS)  # fmt: skip
    yield size.moved("Mish and sums", 4 if size.implementation.fusion == "eager" else 2, size.values * 4 * item)
    yield size.product("output projection", 1, size.rows, dit.dim, MELS)
    state = size.branch_rows * MELS
    # Both flows and the state are read and the state is written, in fp32. Without fusion these are five kernels.
    calls, passes = (5, 3) if size.implementation.fusion == "eager" else (1, 4)
    yield size.moved("guidance, Euler", calls, state * passes * _SINGLE)


def _text(size: _Size) -> Iterator[KernelWork]:
    """Kernels of the text encoder, in fp32. In closed form it runs over the text alone, otherwise over every frame."""
    dit, work = size.dit, size.work
    tokens = ceil(_TOKENS_PER_S * (work.reference_s + work.speech_s))
    rows = min(tokens + 4, work.frames) if size.implementation.folded else work.frames
    wide, captured = 2 * dit.text_dim, size.implementation.ends_captured
    yield size.once("text encoder, products", "products", 4 * dit.conv_layers,
                    _product(rows, dit.text_dim, wide, _SINGLE), captured=captured)  # fmt: skip
    yield size.once("text encoder, the rest", "elementwise", 16 * dit.conv_layers, (0.0, 3 * rows * wide * _SINGLE),
                    captured=captured)  # fmt: skip


def _condition(size: _Size) -> Iterator[KernelWork]:
    """Input projection and first convolution of voice and text, if they run once per segment."""
    if not size.implementation.folded:
        return
    dit, work = size.dit, size.work
    tokens = ceil(_TOKENS_PER_S * (work.reference_s + work.speech_s))
    yield size.once("condition", "products", 1, _product(work.reference_frames, MELS, dit.dim, _SINGLE))
    yield size.once("condition", "products", 2, _product(tokens, dit.text_dim, dit.dim, _SINGLE))
    yield size.once(
        "condition", "convolution", 1, _positional(dit, 2 * work.frames, size.item), half=size.implementation.half
    )
    yield size.once("condition", "elementwise", 6, (0.0, 2 * work.frames * dit.dim * 2 * _SINGLE))


def _vocoder(size: _Size) -> Iterator[KernelWork]:
    """Kernels of Vocos. Products are most of it. The inverse transform is fp32 in every implementation."""
    implementation = size.implementation
    half, captured = implementation.vocoder_half, implementation.ends_captured
    step = implementation.frame_step if captured else 1
    frames = ceil(size.work.speech_frames / step) * step
    item = _HALF if half else _SINGLE
    for calls, k, n in (
        (2 * _VOCOS_LAYERS, _VOCOS_DIM, _VOCOS_MLP),
        (1, MELS * _VOCOS_TAPS, _VOCOS_DIM),
        (1, _VOCOS_DIM, _VOCOS_OUT),
    ):
        yield size.once("vocoder, products", "products", calls, _product(frames, k, n, item), half=half,
                        captured=captured)  # fmt: skip
    # Depthwise convolution, norm, GELU, scale with residual. Memory bounds them.
    moved = frames * (7 * _VOCOS_DIM + 2 * _VOCOS_MLP) * item
    calls = 4 if implementation.fusion != "eager" else 7
    yield size.once("vocoder, the rest", "elementwise", calls * _VOCOS_LAYERS, (0.0, moved / calls), captured=captured)
    # Outside the graph of the backbone in every implementation.
    yield size.once("inverse transform", "elementwise", 8, (0.0, frames * 2 * _VOCOS_OUT * _SINGLE))


def _product(rows: int, k: int, n: int, item: int) -> tuple[float, float]:
    """Operations and bytes of [rows, k] by [k, n]."""
    return 2.0 * rows * k * n, float(item * (rows * k + k * n + rows * n))


def _positional(dit: DitConfig, rows: int, item: int) -> tuple[float, float]:
    """Operations and bytes of one grouped convolution over `rows` frames."""
    weights = dit.dim * (dit.dim // CONV_GROUPS) * CONV_TAPS
    return 2.0 * rows * weights, float(item * (2 * rows * dit.dim + weights))


def _tiles(rows: int, n: int) -> int:
    return ceil(rows / _TILE) * ceil(n / _TILE)

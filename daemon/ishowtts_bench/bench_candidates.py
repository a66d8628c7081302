"""The candidates of `ishowtts bench kernels`: those that the engine chooses from, and what to compare them with.

The others are products without what follows them, products of eight bits, single steps between the products, attention
without lengths, and the vocoder in both types: they show what a kernel costs, and what would be possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ishowtts.engines.f5.architecture import CONV_GROUPS, CONV_TAPS, HEAD, MELS
from ishowtts.engines.f5.assembly import block_weights
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.block_steps import Linear
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.cuda.kernel_candidates import FRAMES, BlockWeights, EightBits, KernelCandidates
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, TimedRun
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS
from ishowtts.engines.f5.vocoder import FastVocoder

_VOCODER_FRAMES = 750  # 8 s
_PRODUCTS = ("qkv", "out", "up", "down")
_EIGHT_BITS: tuple[EightBits, ...] = ("int8", "fp8")

Groups = Iterable[tuple[str, CandidateGroup]]
"""Each group with its part of the model in `KernelChoice`; an empty part: nothing is chosen from it."""


@dataclass(frozen=True)
class Source:
    """What the candidates are made of: the weights on the device."""

    loaded: Checkpoint
    weights: BlockWeights
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, loaded: Checkpoint, device: torch.device, dtype: torch.dtype) -> Source:
        """From a checkpoint."""
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in loaded.cfm.items()}
        return cls(loaded, block_weights(tensors, loaded.model.arch, device, dtype), device, dtype)

    def draw(self, *shape: int) -> Tensor:
        """Random numbers of the type of the weights."""
        return torch.randn(*shape, device=self.device).to(self.dtype)


def chosen_from(source: Source, own: Sequence[str]) -> Iterator[tuple[str, Groups]]:
    """Yield the groups that the engine chooses from, by a title. Each is made when it is iterated over."""
    candidates = KernelCandidates(source.weights, fused=bool(own))
    yield "convolution", _one("conv", candidates.conv)
    if source.device.type != "cpu":  # a CPU has its own two, below
        yield "attention", _one("attention", candidates.attention)
    yield "steps between the products", _one("elementwise", candidates.elementwise)
    yield "products", candidates.products(_steps(own))
    if source.device.type == "cpu":
        yield "kernels of a CPU", _cpu_groups(source)


def compared_with(source: Source, own: Sequence[str]) -> Iterator[tuple[str, Groups]]:
    """Yield the groups that show what a kernel costs, and what would be possible."""
    for eight_bits in _EIGHT_BITS:
        # Its own object for each, because one tries new kernels for a limited time.
        candidates = KernelCandidates(source.weights, fused=bool(own))
        yield f"products of {eight_bits}", candidates.products(_steps(own), eight_bits)
    for part in _PRODUCTS:
        yield f"{part} alone", _product_groups(source, part)
    yield "single steps", _single_steps(source, ["eager", *own])
    yield "attention without lengths", _one("", partial(_dense_attention, source))
    yield "vocoder", _one("", partial(_vocoder, source))


def _steps(own: Sequence[str]) -> Elementwise:
    """The steps between the products that a GPU most probably takes."""
    return ELEMENTWISE[own[0] if own else "eager"]()


def _one(part: str, make: Callable[[], CandidateGroup]) -> Groups:
    """One group, made when it is asked for."""
    yield part, make()


def _product_groups(source: Source, part: str) -> Groups:
    """A product with its bias and nothing else, and its arithmetic alone."""
    weight, bias = getattr(source.weights, part)
    x = source.draw(2, FRAMES, weight.shape[1])
    rows, flop = x.flatten(0, 1), 4.0 * FRAMES * weight.numel()
    names = ("plain",) if source.device.type == "cuda" else ("plain", "packed", "int8")

    def linear(name: str) -> Tensor:
        made = linears.get(name) or linears.setdefault(name, LINEARS[name](weight, bias))
        return made(x)

    linears: dict[str, Linear] = {}
    runs = {name: partial(linear, name) for name in names}
    # On a CPU the engine chooses from these.
    chosen_from = part if source.device.type == "cpu" else ""
    yield chosen_from, CandidateGroup(f"{part}, product and bias", runs, "plain", source.dtype, flop=flop)

    alone: dict[str, TimedRun] = {"mm": partial(torch.mm, rows, weight.t())}
    if source.device.type == "cuda":
        alone |= _eight_bit_products(rows, weight)
    yield "", CandidateGroup(f"{part}, arithmetic alone", alone, "none", source.dtype, flop=flop)


def _eight_bit_products(rows: Tensor, weight: Tensor) -> dict[str, TimedRun]:
    """Products of eight bits without the steps around them, with slow and fast sums."""
    int8 = [torch.randint(-127, 127, part.shape, dtype=torch.int8, device=part.device) for part in (rows, weight)]
    fp8 = [part.to(torch.float8_e4m3fn) for part in (rows, weight)]
    scales = torch.ones(len(rows), 1, device=rows.device), torch.ones(1, len(weight), device=rows.device)

    def scaled(fast: bool) -> Tensor:
        return torch._scaled_mm(fp8[0], fp8[1].t(), *scales, out_dtype=torch.bfloat16, use_fast_accum=fast)

    runs: dict[str, TimedRun] = {"_int_mm": lambda: torch._int_mm(int8[0], int8[1].t())}
    return runs | {f"_scaled_mm, fast_accum {fast}": partial(scaled, fast) for fast in (False, True)}


def _single_steps(source: Source, names: Sequence[str]) -> Groups:
    """The steps between the products that move the most memory, one by one."""
    width = source.weights.width
    x, y = source.draw(2, FRAMES, width), source.draw(2, FRAMES, width)
    gate, scale, shift = source.draw(3, width).unbind()
    qkv = source.draw(2, FRAMES, 3, source.weights.heads, HEAD)
    turns = torch.randn(FRAMES, HEAD // 2, device=source.device)
    angles = torch.stack((turns.cos(), turns.sin()), dim=-1)
    made = {name: ELEMENTWISE[name]() for name in names}

    def group(title: str, tensors: int, run: Callable[[Elementwise], Tensor]) -> tuple[str, CandidateGroup]:
        runs: dict[str, TimedRun] = {name: partial(run, steps) for name, steps in made.items()}
        moved = float(tensors * x.numel() * x.element_size())
        return "", CandidateGroup(title, runs, "none", source.dtype, bytes=moved)

    # They may overwrite their input, so what they compute is compared in the group of all steps only.
    yield group("norm", 2, lambda steps: steps.norm(x, scale, shift))
    yield group("gate_norm", 4, lambda steps: steps.gate_norm(x, gate, y, scale, shift)[1])
    yield group("rotate", 4, lambda steps: steps.rotate(qkv, angles)[0])


def _dense_attention(source: Source) -> CandidateGroup:
    """Attention without padding: what a kernel that ignores padding could reach."""
    q, k, v = (source.draw(2, source.weights.heads, FRAMES, HEAD) for _ in range(3))
    backends = {"flash": SDPBackend.FLASH_ATTENTION}
    if source.device.type == "cuda":
        backends |= {"efficient": SDPBackend.EFFICIENT_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}

    def attend(backend: SDPBackend) -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    exact = ATTENTIONS["explicit"](q.float(), k.float(), v.float(), None)
    runs: dict[str, TimedRun] = {name: partial(attend, backend) for name, backend in backends.items()}
    flop = 8.0 * FRAMES**2 * HEAD * source.weights.heads
    return CandidateGroup("attention without lengths", runs, "none", source.dtype, exact, flop)


def _vocoder(source: Source) -> CandidateGroup:
    """The vocoder with its backbone in both types."""
    mel = torch.randn(1, _VOCODER_FRAMES, MELS, device=source.device) - 4.0
    half = torch.float16 if source.device.type == "cuda" else torch.bfloat16
    vocoders: dict[torch.dtype, FastVocoder] = {}

    def decode(dtype: torch.dtype) -> Tensor:
        if dtype not in vocoders:
            vocoders[dtype] = FastVocoder(source.loaded.vocoder, source.loaded.vocos, source.device, dtype)
        return vocoders[dtype].decode(mel, [_VOCODER_FRAMES])[0]

    runs: dict[str, TimedRun] = {str(dtype)[6:]: partial(decode, dtype) for dtype in (torch.float32, half)}
    return CandidateGroup("vocoder, 8 s of sound", runs, "float32", half)


def _cpu_groups(source: Source) -> Groups:
    """The kernels that a CPU chooses from, except products."""
    weight, x = source.weights.conv, source.draw(2, FRAMES, source.weights.width)
    q, k, v = (source.draw(2, source.weights.heads, FRAMES, HEAD) for _ in range(3))
    flop = 4.0 * FRAMES * source.weights.width * (source.weights.width // CONV_GROUPS) * CONV_TAPS
    convs: dict[str, TimedRun] = {
        name: partial(lambda name: CONVS[name](weight)(x), name) for name in ("plain", "packed")
    }
    yield "conv", CandidateGroup("convolution of a CPU", convs, "plain", source.dtype, flop=flop)
    attentions: dict[str, TimedRun] = {name: partial(ATTENTIONS[name], q, k, v, None) for name in ("fused", "explicit")}
    flop = 8.0 * FRAMES**2 * HEAD * source.weights.heads
    yield "attention", CandidateGroup("attention of a CPU", attentions, "fused", source.dtype, flop=flop)

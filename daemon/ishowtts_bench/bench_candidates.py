"""The candidates of `ishowtts bench kernels`: those that the engine chooses from, and what to compare them with.

The others are products without what follows them, products of eight bits, single steps between the products, attention
without lengths, and the vocoder in both types: they show what a kernel costs, and what would be possible.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ishowtts.engines.f5 import checkpoint, throughput
from ishowtts.engines.f5.architecture import MELS
from ishowtts.engines.f5.assembly import block_weights
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.block_kernels import FUSED_INT8
from ishowtts.engines.f5.block_steps import HEAD, Linear
from ishowtts.engines.f5.checkpoint import Checkpoint
from ishowtts.engines.f5.cuda import kernel_timing
from ishowtts.engines.f5.cuda.kernel_candidates import BlockWeights, EightBits, KernelCandidates
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup, TimedRun
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.elementwise import Elementwise
from ishowtts.engines.f5.kernel_choice import choose_kernels
from ishowtts.engines.f5.kernels import CONVS, ELEMENTWISE, LINEARS
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.engines.weights import examine
from ishowtts.errors import first_line
from ishowtts.f5_switches import Switches
from ishowtts_bench.bench_env import BenchEnv
from ishowtts_bench.kernel_bench import KernelFigures

MACHINE, CHOICE = "this machine", "choice at load"
"""Names of the groups of one candidate that are not kernels."""

_FRAMES = 1248  # as the choice at load: 5 s of reference and 8 s of speech, in their bucket
_VOCODER_FRAMES = 750  # 8 s
_CONV_TAPS, _CONV_GROUPS = 31, 16
_PRODUCTS = ("qkv", "out", "up", "down")
_EIGHT_BITS: tuple[EightBits, ...] = ("int8", "fp8")
_OWN = ("triton", FUSED_INT8)  # how the names of our own kernels begin
_ROUNDS, _LONGEST_S = 5, 1.0  # of what cannot be captured
_INPUTS = "inputs"
_MAX_FAULT_CHARS = 160  # torch lists every backend that has an operator

Groups = Iterable[tuple[str, CandidateGroup]]
"""Each group with its part of the model in `KernelChoice`; an empty part: nothing is chosen from it."""


@dataclass(frozen=True)
class _Source:
    """What the candidates are made of: the weights on the device."""

    loaded: Checkpoint
    weights: BlockWeights
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, loaded: Checkpoint, device: torch.device, dtype: torch.dtype) -> _Source:
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in loaded.cfm.items()}
        return cls(loaded, block_weights(tensors, loaded.model.arch, device, dtype), device, dtype)

    def draw(self, *shape: int) -> Tensor:
        """Random numbers of the type of the weights."""
        return torch.randn(*shape, device=self.device).to(self.dtype)


class _DeviceBroken(Exception):
    """The device answers no more. After an illegal access, CUDA refuses everything in its process."""


def measure_all(env: BenchEnv, figures: KernelFigures, report: Callable[[str], None]) -> bool:
    """Measure the candidates that are not known yet. Returns whether the device still works."""
    device = torch.device(env.device)
    source = _Source.of(checkpoint.load(examine(env.folder)), device, choose_dtype(env.precision, device))

    def measure(group: str, name: str, run: Callable[[], dict[str, object]], **about_group: object) -> None:
        if figures.is_known(group, name):
            return
        figures.begin(group, name, **about_group)
        try:
            found = run()
        except Exception as error:  # Triton's errors have no common parent
            found = {"fault": first_line(error)[:_MAX_FAULT_CHARS]}
        figures.finish(**found)
        report(_sentence(group, name, found))
        _synchronize(device)

    def measure_groups(title: str, groups: Groups) -> None:
        if figures.is_known(title, _INPUTS):
            return
        try:
            for part, group in groups:
                exact = _exact(group)
                about = {"part": part, "flop": group.flop, "bytes": group.bytes}
                for name, run in group.runs.items():
                    measure(group.name, name, partial(time_and_error, group, name, run, exact, device), **about)
        except _DeviceBroken:
            raise
        except Exception as error:  # the inputs may not fit into memory
            measure(title, _INPUTS, partial(_reraise, error))
        if device.type == "cuda":
            torch.cuda.empty_cache()

    def choose() -> dict[str, object]:
        started = time.perf_counter()
        choice = choose_kernels(source.weights, Switches().on_device(device.type))
        figures.content["chosen"] = asdict(choice)
        return {"spent_s": round(time.perf_counter() - started, 2), "choice": str(choice)}

    try:
        with torch.inference_mode():
            # The first measurement also raises the clocks.
            measure(MACHINE, "large product, copy", lambda: _rates(device.type, source.dtype))
            fused = device.type == "cuda" and throughput.fused_fault("cuda") is None
            own = [name for name in ELEMENTWISE if name != "eager"] if fused else []
            for title, groups in _chosen_from(source, own):
                measure_groups(title, groups)
            measure(CHOICE, "choose_kernels", choose)  # now all of them are compiled
            for title, groups in _compared_with(source, own):
                measure_groups(title, groups)
    except _DeviceBroken:
        return False
    return True


def compile_share(env: BenchEnv, number: int, count: int) -> None:
    """Run every `count`th of our own kernels once, so that it is compiled. Compiled kernels are kept on the disk."""
    device = torch.device(env.device)
    if device.type != "cuda" or throughput.fused_fault("cuda") is not None:
        return
    source = _Source.of(checkpoint.load(examine(env.folder)), device, choose_dtype(env.precision, device))
    own = [name for name in ELEMENTWISE if name != "eager"]
    position = itertools.count()
    with torch.inference_mode():
        for _, groups in itertools.chain(_chosen_from(source, own), _compared_with(source, own)):
            with suppress(Exception):  # it is reported when it is measured
                for _, group in groups:
                    for name, run in group.runs.items():
                        if name.startswith(_OWN) and next(position) % count == number:
                            with suppress(Exception):
                                run()


def _synchronize(device: torch.device) -> None:
    try:
        if device.type == "cuda":
            torch.cuda.synchronize()
    except RuntimeError as error:
        raise _DeviceBroken from error


def _reraise(error: Exception) -> dict[str, object]:
    raise error


def _rates(device: str, dtype: torch.dtype) -> dict[str, object]:
    found = throughput.measure(device, dtype)
    return {"tflops": round(found.flop_per_s / 1e12, 2), "gb_per_s": round(found.bytes_per_s / 1e9, 1)}


def _exact(group: CandidateGroup) -> Any:
    """What the candidates should compute; `None` if they compute different things, or if that cannot be computed."""
    if group.exact is not None:
        return group.exact
    try:
        return group.runs[group.otherwise]() if group.otherwise in group.runs else None
    except Exception:  # it is reported as a candidate
        return None


def time_and_error(
    group: CandidateGroup, name: str, run: TimedRun, exact: Any, device: torch.device
) -> dict[str, object]:
    """Measure a candidate: its times, its rates, and its relative error against `exact`, unless that is `None`."""
    started = time.perf_counter()
    found = run()
    _synchronize(device)
    first_s = time.perf_counter() - started
    error = None if exact is None else kernel_timing.relative_error(found, exact)
    captured = kernel_timing.times_s({name: run}) if device.type == "cuda" else {}
    spent_s = captured.get(name) or _eager_s(run, device)
    return {
        "us": round(1e6 * spent_s, 2),
        "tflops": round(group.flop / spent_s / 1e12, 2) if group.flop else None,
        "gb_per_s": round(group.bytes / spent_s / 1e9, 1) if group.bytes else None,
        "error": float(f"{error:.2g}") if error is not None and math.isfinite(error) else None,
        "finite": error is None or math.isfinite(error),
        "captured": name in captured,
        "first_s": round(first_s, 3),  # it compiles the kernel, unless that was done in an earlier start
    }


def _eager_s(run: TimedRun, device: torch.device) -> float:
    """The best of a few runs without a graph: on a CPU, and of what cannot be captured."""
    best_s, deadline = math.inf, time.perf_counter() + _LONGEST_S
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run()
        _synchronize(device)
        best_s = min(best_s, time.perf_counter() - started)
        if time.perf_counter() > deadline:
            break
    return best_s


def _sentence(group: str, name: str, found: dict[str, object]) -> str:
    if "fault" in found:
        return f"{group} | {name}: failed: {found['fault']}"
    return f"{group} | {name}: " + ", ".join(f"{key} {value}" for key, value in found.items() if value is not None)


def _chosen_from(source: _Source, own: Sequence[str]) -> Iterator[tuple[str, Groups]]:
    """Yield the groups that the engine chooses from, by a title. Each is made when it is iterated over."""
    candidates = KernelCandidates(source.weights, fused=bool(own))
    yield "convolution", _one("conv", candidates.conv)
    yield "attention", _one("attention", candidates.attention)
    yield "steps between the products", _one("elementwise", candidates.elementwise)
    yield "products", candidates.products(_steps(own))
    if source.device.type == "cpu":
        yield "kernels of a CPU", _cpu_groups(source)


def _compared_with(source: _Source, own: Sequence[str]) -> Iterator[tuple[str, Groups]]:
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


def _product_groups(source: _Source, part: str) -> Groups:
    """A product with its bias and nothing else, and its arithmetic alone."""
    weight, bias = getattr(source.weights, part)
    x = source.draw(2, _FRAMES, weight.shape[1])
    rows, flop = x.flatten(0, 1), 4.0 * _FRAMES * weight.numel()
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


def _single_steps(source: _Source, names: Sequence[str]) -> Groups:
    """The steps between the products that move the most memory, one by one."""
    width = source.weights.width
    x, y = source.draw(2, _FRAMES, width), source.draw(2, _FRAMES, width)
    gate, scale, shift = source.draw(3, width).unbind()
    qkv = source.draw(2, _FRAMES, 3, source.weights.heads, HEAD)
    turns = torch.randn(_FRAMES, HEAD // 2, device=source.device)
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


def _dense_attention(source: _Source) -> CandidateGroup:
    """Attention without padding: what a kernel that ignores padding could reach."""
    q, k, v = (source.draw(2, source.weights.heads, _FRAMES, HEAD) for _ in range(3))
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    if hasattr(SDPBackend, "CUDNN_ATTENTION"):  # from torch 2.5
        backends["cudnn"] = SDPBackend.CUDNN_ATTENTION

    def attend(backend: SDPBackend) -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    exact = ATTENTIONS["explicit"](q.float(), k.float(), v.float(), None)
    runs: dict[str, TimedRun] = {name: partial(attend, backend) for name, backend in backends.items()}
    flop = 8.0 * _FRAMES**2 * HEAD * source.weights.heads
    return CandidateGroup("attention without lengths", runs, "none", source.dtype, exact, flop)


def _vocoder(source: _Source) -> CandidateGroup:
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


def _cpu_groups(source: _Source) -> Groups:
    """The kernels that a CPU chooses from, except products."""
    weight, x = source.weights.conv, source.draw(2, _FRAMES, source.weights.width)
    q, k, v = (source.draw(2, source.weights.heads, _FRAMES, HEAD) for _ in range(3))
    flop = 4.0 * _FRAMES * source.weights.width * (source.weights.width // _CONV_GROUPS) * _CONV_TAPS
    convs: dict[str, TimedRun] = {
        name: partial(lambda name: CONVS[name](weight)(x), name) for name in ("plain", "packed")
    }
    yield "conv", CandidateGroup("convolution of a CPU", convs, "plain", source.dtype, flop=flop)
    attentions: dict[str, TimedRun] = {name: partial(ATTENTIONS[name], q, k, v, None) for name in ("fused", "explicit")}
    flop = 8.0 * _FRAMES**2 * HEAD * source.weights.heads
    yield "attention", CandidateGroup("attention of a CPU", attentions, "fused", source.dtype, flop=flop)

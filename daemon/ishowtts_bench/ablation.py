"""What each switch is worth: ours, and ours with one switch the other way, interleaved."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.f5_options import Optimisations
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.bench_env import BenchEnv, settle, text_of
from ishowtts_bench.fidelity import deviation, distance
from ishowtts_bench.timers import now_s

_USUAL = Optimisations()
_NAME = "as configured by default"
_EVERYWHERE: dict[str, Optimisations] = {
    "without folds": replace(_USUAL, folds=False),
    "without text_once": replace(_USUAL, text_once=False),
    "without reference_cache": replace(_USUAL, reference_cache=False),
    "with guidance_skip: plain": replace(_USUAL, guidance_skip="plain"),
    "with guidance_skip: reuse": replace(_USUAL, guidance_skip="reuse"),
    "with int8": replace(_USUAL, int8=True),
    "all off": Optimisations.off(),
}
_ON_CPU: dict[str, Optimisations] = {
    "without cpu_kernels": replace(_USUAL, cpu_kernels=False),
    "padded to buckets": replace(_USUAL, exact_padding=True),
    "padded, at fixed addresses": replace(_USUAL, exact_padding=True, graphs=True),
}
_ON_CUDA: dict[str, Optimisations] = {
    "without graphs": replace(_USUAL, graphs=False),
    "without fused_kernels": replace(_USUAL, fused_kernels=False),
    "without graphs and fused_kernels": replace(_USUAL, graphs=False, fused_kernels=False),
    "without exact_padding, so without graphs": replace(_USUAL, exact_padding=False),
}


@dataclass(frozen=True)
class Variant:
    """One setting of the switches against the default one.

    Args:
        ratio: how many times as long it takes, median over rounds.
        error, deviation: of the sound from that of the default one (`fidelity`).
    """

    name: str
    synth_s: float
    ratio: float
    error: float
    deviation: float


def variants(device: str, report: Callable[[str], None]) -> dict[str, Optimisations]:
    """Those that mean something on this device, the default one first."""
    usual = {_NAME: _USUAL, **_EVERYWHERE}
    if device != "cuda":
        return usual | _ON_CPU
    from ishowtts.engines.f5.cuda.products import Fp8Linear  # imports Triton, which is not everywhere

    if not Fp8Linear.supported(torch.device(device)):
        report("left out: with fp8, since this GPU has no such products")
        return usual | _ON_CUDA
    return usual | _ON_CUDA | {"with fp8": replace(_USUAL, fp8=True)}


def run(setting: BenchEnv, length_s: float, rounds: int, nfe_step: int, report: Callable[[str], None]) -> list[Variant]:
    """Every variant, round by round; the first round only warms."""
    engines: dict[str, F5Engine] = {}
    for name, switches in variants(setting.device, report).items():
        report(f"loading: {name}")
        engines[name] = setting.engine(switches, nfe_step=nfe_step)
    segment = Segment("bench", 0, 1, text_of(length_s), seed=0)
    times_s: dict[str, list[float]] = {name: [] for name in engines}
    sounds: dict[str, FloatSamples] = {}
    for turn in range(rounds + 1):
        report(f"round {turn} of {rounds}")
        for name, engine in engines.items():
            started = now_s(setting.device)
            sounds[name] = engine.render(segment, lambda: False)
            if turn > 0:
                times_s[name].append(now_s(setting.device) - started)
            else:
                settle(engine)
    for engine in engines.values():
        engine.close()
    usual_s, usual = times_s[_NAME], sounds[_NAME]
    return [
        Variant(
            name,
            statistics.median(taken_s),
            statistics.median(one / other for one, other in zip(taken_s, usual_s, strict=True)),
            distance(sounds[name], usual),
            deviation(sounds[name], usual),
        )
        for name, taken_s in times_s.items()
    ]

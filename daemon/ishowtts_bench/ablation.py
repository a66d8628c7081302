"""What each switch is worth: ours, and ours with one switch the other way, interleaved."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.switches import TABLE, Switch, Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.bench_env import BenchEnv, settle, text_of
from ishowtts_bench.fidelity import deviation, distance
from ishowtts_bench.timers import now_s

_USUAL = Switches()
_NAME = "as configured by default"
_ON_CPU: dict[str, Switches] = {
    "padded to buckets": replace(_USUAL, exact_padding=True),
    "padded, at fixed addresses": replace(_USUAL, exact_padding=True, graphs=True),
}
_ON_CUDA: dict[str, Switches] = {
    "without graphs and fused_kernels": replace(_USUAL, graphs=False, fused_kernels=False),
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


def variants(device: str, report: Callable[[str], None]) -> dict[str, Switches]:
    """The variants that make a difference on this device, the default one first."""
    found = {_NAME: _USUAL}
    for switch in TABLE:
        if switch.scheduler or switch.device not in (None, device):
            continue
        if switch.costs_fidelity:
            if switch.name == "fp8" and not _multiplies_fp8(device):
                report("left out: with fp8, since this GPU has no such products")
                continue
            found |= _with(switch)
        elif not switch.changes_sound and (switch.default or (switch.default is None and device == "cuda")):
            found |= _without(switch, device)
    return found | (_ON_CUDA if device == "cuda" else _ON_CPU) | {"all off": Switches.off()}


def _with(switch: Switch) -> dict[str, Switches]:
    values: dict[str, Any] = {
        f"with {switch.name}" + ("" if value is True else f": {value}"): value for value in switch.choices if value
    }
    return {name: replace(_USUAL, **{switch.name: value}) for name, value in values.items()}


def _without(switch: Switch, device: str) -> dict[str, Switches]:
    """The switch and those that need it are off."""
    needing = [other.name for other in TABLE if switch.name in other.needs]
    name = f"without {switch.name}" + (f", so without {' and '.join(needing)}" if needing and device == "cuda" else "")
    off: dict[str, Any] = dict.fromkeys((switch.name, *needing), False)
    return {name: replace(_USUAL, **off)}


def _multiplies_fp8(device: str) -> bool:
    from ishowtts.engines.f5.cuda.products import Fp8Linear  # imports Triton, which is not everywhere

    return Fp8Linear.supported(torch.device(device))


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

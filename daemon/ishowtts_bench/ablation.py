"""Measures the effect of each switch: our engine, and variants with one switch changed, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.f5_switches import TABLE, Switch, Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.bench_env import BenchEnv, finish_idle_work, make_text
from ishowtts_bench.fidelity import deviation, distance
from ishowtts_bench.timers import synchronized_s

_DEFAULT = Switches()
_DEFAULT_NAME = "as configured by default"
_ON_CPU: dict[str, Switches] = {
    "padded to buckets": replace(_DEFAULT, exact_padding=True),
    "padded, at fixed addresses": replace(_DEFAULT, exact_padding=True, graphs=True),
}
_ON_CUDA: dict[str, Switches] = {
    "without graphs and fused_kernels": replace(_DEFAULT, graphs=False, fused_kernels=False),
}


@dataclass(frozen=True)
class Variant:
    """One combination of switches, compared with the default.

    Args:
        ratio: Time relative to the default, median over rounds.
        error, deviation: Differences of the sound from that of the default (`fidelity`).
    """

    name: str
    synth_s: float
    ratio: float
    error: float
    deviation: float


def variants(device: str, report: Callable[[str], None]) -> dict[str, Switches]:
    """List the variants that make a difference on this device. The default comes first."""
    found = {_DEFAULT_NAME: _DEFAULT}
    for switch in TABLE:
        if switch.scheduler or switch.device not in (None, device):
            continue
        if switch.costs_fidelity:
            if switch.name == "fp8" and not _multiplies_fp8(device):
                report("left out: with fp8, because this GPU has no fp8 products")
                continue
            found |= _with(switch)
        elif not switch.changes_sound and (switch.default or (switch.default is None and device == "cuda")):
            found |= _without(switch, device)
    return found | (_ON_CUDA if device == "cuda" else _ON_CPU) | {"all off": Switches.off()}


def _with(switch: Switch) -> dict[str, Switches]:
    values: dict[str, Any] = {
        f"with {switch.name}" + ("" if value is True else f": {value}"): value for value in switch.choices if value
    }
    return {name: replace(_DEFAULT, **{switch.name: value}) for name, value in values.items()}


def _without(switch: Switch, device: str) -> dict[str, Switches]:
    """Turn the switch off, and the switches that need it."""
    needing = [other.name for other in TABLE if switch.name in other.needs]
    name = f"without {switch.name}" + (f", so without {' and '.join(needing)}" if needing and device == "cuda" else "")
    off: dict[str, Any] = dict.fromkeys((switch.name, *needing), False)
    return {name: replace(_DEFAULT, **off)}


def _multiplies_fp8(device: str) -> bool:
    from ishowtts.engines.f5.cuda.products import Fp8Linear  # imports Triton, which may be missing

    return Fp8Linear.supported(torch.device(device))


def run(env: BenchEnv, length_s: float, rounds: int, nfe_step: int, report: Callable[[str], None]) -> list[Variant]:
    """Measure every variant, round by round. The first round only warms up."""
    engines: dict[str, F5Engine] = {}
    wanted = variants(env.device, report)
    for number, (name, switches) in enumerate(wanted.items(), 1):
        report(f"loading {number} of {len(wanted)}: {name}")
        engines[name] = env.engine(switches, nfe_step=nfe_step)
    segment = Segment("bench", 0, 1, make_text(length_s), seed=0)
    times_s: dict[str, list[float]] = {name: [] for name in engines}
    sounds: dict[str, FloatSamples] = {}
    for round_number in range(rounds + 1):
        report(f"round {round_number} of {rounds}" if round_number else "a round that warms up and is not counted")
        for name, engine in engines.items():
            started = synchronized_s(env.device)
            sounds[name] = engine.render(segment, lambda: False)
            if round_number > 0:
                times_s[name].append(synchronized_s(env.device) - started)
            else:
                finish_idle_work(engine)
    for engine in engines.values():
        engine.close()
    default_s, default = times_s[_DEFAULT_NAME], sounds[_DEFAULT_NAME]
    return [
        Variant(
            name,
            statistics.median(taken_s),
            statistics.median(variant_s / base_s for variant_s, base_s in zip(taken_s, default_s, strict=True)),
            distance(sounds[name], default),
            deviation(sounds[name], default),
        )
        for name, taken_s in times_s.items()
    ]

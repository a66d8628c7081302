"""Measures the speed of our engine and of upstream, and on request of upstream through torch.compile and of our int8.

They take turns in one run, with the same weights, voice, texts and NFE, because the speed of a machine varies. Upstream
at its default NFE is measured last, alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.errors import first_line
from ishowtts.f5_switches import Switches
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench import machine, systems
from ishowtts_bench.bench_env import BenchEnv, make_text
from ishowtts_bench.peak_memory import PeakMemoryMeter
from ishowtts_bench.speed_result import NEW_LENGTH, SpeedResult, Timing
from ishowtts_bench.systems import COMPILED, DEFAULT_NFE, INT8, OurSystem, System, title
from ishowtts_bench.timers import LOOP, record_runs, timed

_LOOP = "evaluations"
_LONGER_FRAMES = 7
"""How much longer each new length is than the last: more than the one frame that rounding may take."""


@dataclass(frozen=True)
class ExtraSystems:
    """Systems that run besides our engine and upstream at equal NFE.

    Args:
        compiled: Upstream through torch.compile.
        int8: Our engine in int8.
        default: Upstream at its default NFE.
    """

    compiled: bool = False
    int8: bool = False
    default: bool = False


Report = Callable[[Timing], None]


def run(
    env: BenchEnv,
    lengths_s: Sequence[float],
    rounds: int,
    *,
    nfe_step: int,
    extra: ExtraSystems,
    report: Report,
    save: Callable[[SpeedResult], None] = lambda _: None,
) -> SpeedResult:
    """Measure every system at every length, round by round. The first round of each text only warms up.

    If torch.compile fails, the other systems are still measured.

    Args:
        save: Called after each round with what was measured so far, so that the end of the process loses one round.
    """
    dtype = choose_dtype(env.precision, torch.device(env.device))
    name = torch.cuda.get_device_name() if env.device == "cuda" else None
    result = SpeedResult(machine.best_of_several(env.device, dtype), nfe_step, name)
    ours = _ours_alone(env, lengths_s, result)
    all_systems = [systems.upstream(env, nfe_step)]
    all_systems += [systems.compiled(env, nfe_step)] if extra.compiled else []
    all_systems += [ours]
    all_systems += [systems.ours(env, nfe_step, Switches(int8=True), INT8)] if extra.int8 else []
    for length_s in lengths_s:
        for round_number in range(rounds + 1):
            counted, spoken = round_number > 0, {}
            for system in list(all_systems):
                try:
                    timing = _time_once(system, length_s, counted=counted)
                except Exception as error:  # torch.compile's errors have no common parent
                    if system.name != title(COMPILED, nfe_step):
                        raise
                    result.compiled_fault = first_line(error)
                    all_systems.remove(system)
                    continue
                spoken[system.name] = _record(result, timing, report)
            if counted:
                _record(result, _evaluations(env, ours, length_s, result), report)
            if length_s == min(lengths_s):
                _new_length(ours, result, spoken[ours.name], round_number + 1, report)
            # Between the rounds, because the speed of a machine varies: the best of all is its rate.
            result.machine = result.machine.best_of(machine.measure(env.device, dtype))
            save(result)
    if extra.default:
        upstream_default = systems.upstream(env, DEFAULT_NFE)
        # Each run takes minutes on a CPU. Only a GPU needs a run that warms up.
        warming, runs = (1, rounds) if env.device == "cuda" else (0, 1)
        for number in range(warming + runs):
            timing = _time_once(upstream_default, min(lengths_s), counted=False)
            _record(result, replace(timing, counted=number >= warming), report)
            save(result)
    result.compare_with_machine(env.dit(), _reference_frames(env), machine.loop_bytes(env.dit(), dtype))
    return result


def timings_planned(device: str, lengths: int, rounds: int, extra: ExtraSystems) -> int:
    """How many timings `run` will report."""
    alone = 0 if not extra.default else rounds + 1 if device == "cuda" else 1
    new_length = 2 * (rounds + 1)
    return lengths * ((rounds + 1) * (2 + extra.compiled + extra.int8) + rounds) + new_length + alone


def _record(result: SpeedResult, timing: Timing, report: Report) -> Timing:
    report(timing)
    if timing.counted:
        result.timings.append(timing)
    return timing


def _ours_alone(env: BenchEnv, lengths_s: Sequence[float], result: SpeedResult) -> OurSystem:
    """Make our engine before the other systems exist, so that its memory on a GPU can be measured."""
    memory = PeakMemoryMeter(env.device)
    ours = systems.ours(env, result.nfe_step, Switches())
    if env.device == "cuda":
        for length_s in lengths_s:
            ours.synthesize(make_text(length_s))
    result.warm_s, result.peak, result.kernels = ours.warm_s, memory.peak(), ours.kernels
    return ours


def _time_once(system: System, length_s: float, *, counted: bool) -> Timing:
    """Time a text, and the part of it that a listener waits for if the timing is counted."""
    text = make_text(length_s)
    timing = _timed(system.name, length_s, lambda: system.synthesize(text), counted=counted)
    if not counted:
        return timing
    ttfa_s, part = timing.synth_s, system.first_segment(text)
    if part != text:
        ttfa_s = _timed(system.name, length_s, lambda: system.synthesize(part), counted=True).synth_s
    return replace(timing, ttfa_s=ttfa_s)


def _timed(name: str, length_s: float, synthesize: Callable[[], FloatSamples], *, counted: bool) -> Timing:
    started = time.perf_counter()
    sound = synthesize()
    return Timing(name, length_s, time.perf_counter() - started, len(sound) / RATE_HZ, None, counted)


def _evaluations(env: BenchEnv, ours: System, length_s: float, result: SpeedResult) -> Timing:
    """Store frames and time of our evaluations. Padding does not count as work.

    The timing is not counted: the timers wait for the GPU before and after the evaluations, which upstream does not.
    """
    with record_runs() as runs, timed({_LOOP: (LOOP,)}, env.device) as spent:
        timing = _time_once(ours, length_s, counted=False)
    frames = [count for run in runs for count in run.frames]
    if frames:  # upstream's modules are not counted
        result.evaluations.append((frames, spent[_LOOP].seconds))
    return timing


def _new_length(ours: OurSystem, result: SpeedResult, known: Timing, number: int, report: Report) -> None:
    """Speak the text at a length that this process never ran, and at once again: the second time it is known.

    Args:
        known: The text at its usual length, in the same round.
        number: Number of the new length, from 1.
    """
    text, frames = make_text(known.length_s), known.audio_s * RATE_HZ / HOP
    speed = frames / (frames + _LONGER_FRAMES * number)
    new, again = (
        _timed(title(NEW_LENGTH, result.nfe_step), known.length_s, lambda: ours.at_speed(text, speed), counted=counted)
        for counted in (known.counted, False)
    )
    _record(result, new, report)
    _record(result, again, report)
    if new.counted:
        result.new_length_s.append(new.synth_s - again.synth_s)


def _reference_frames(env: BenchEnv) -> int:
    clip = env.reference_clip()
    return clip.audio.shape[-1] * RATE_HZ // clip.rate_hz // HOP

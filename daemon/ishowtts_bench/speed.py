"""Stock, recipe and ours, interleaved in one run: the same weights, voice and texts, since machines are noisy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import torch

from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.device import choose_dtype
from ishowtts.engines.f5.switches import Switches
from ishowtts_bench import machine, systems
from ishowtts_bench.bench_env import BenchEnv, text_of
from ishowtts_bench.peak_memory import Peak, Watch
from ishowtts_bench.startup import Start
from ishowtts_bench.systems import System, title
from ishowtts_bench.timers import LOOP, timed, watched

_STOCK_NFE = 32
_INT8 = "ours, int8"
_LOOP = "evaluations"


@dataclass(frozen=True)
class TimedTake:
    """One text, spoken once by one contestant."""

    contestant: str
    length_s: float
    synth_s: float
    audio_s: float
    ttfa_s: float | None

    @property
    def rtf(self) -> float:
        """Synthesis seconds per second of sound."""
        return self.synth_s / self.audio_s


@dataclass(frozen=True)
class Comparison:
    """Who runs beside stock at equal NFE and ours: the recipe, ours in whole numbers, stock at its default NFE."""

    recipe: bool = False
    int8: bool = False
    default: bool = False


@dataclass(frozen=True)
class SpeedRow:
    """One contestant at one length, over the rounds."""

    contestant: str
    audio_s: float
    rtf: float
    lowest: float
    highest: float
    ttfa_s: float | None


@dataclass
class SpeedResult:
    """Everything that was timed.

    Args:
        device: the GPU's name; `None`: there is none.
        shares: of the measured product rate, that our evaluations reach, for each of our takes.
        warm_s: what loading and warming ours took in this process, imports left out.
        peak: of our engine alone on a GPU.
    """

    machine: machine.Machine
    nfe_step: int
    device: str | None = None
    shares: list[float] = field(default_factory=list)
    warm_s: float | None = None
    peak: Peak | None = None
    takes: list[TimedTake] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)

    def rtfs(self, contestant: str, length_s: float) -> list[float]:
        """Of every round."""
        return [take.rtf for take in self.takes if (take.contestant, take.length_s) == (contestant, length_s)]

    def rows(self) -> list[SpeedRow]:
        """For a table, by length."""
        rows = []
        for contestant, length_s in dict.fromkeys((take.contestant, take.length_s) for take in self.takes):
            takes = [take for take in self.takes if (take.contestant, take.length_s) == (contestant, length_s)]
            rtfs = [take.rtf for take in takes]
            waits = [take.ttfa_s for take in takes if take.ttfa_s is not None]
            ttfa_s = statistics.median(waits) if waits else None
            rows.append(SpeedRow(contestant, takes[0].audio_s, statistics.median(rtfs), min(rtfs), max(rtfs), ttfa_s))
        return rows

    def ratio(self, slower: str, faster: str) -> float | None:
        """Median over rounds and lengths of how many times less `faster` took than `slower` in the same round."""
        ratios = []
        for length_s in sorted({take.length_s for take in self.takes}):
            pairs = zip(self.rtfs(slower, length_s), self.rtfs(faster, length_s), strict=False)
            ratios += [slow / fast for slow, fast in pairs]
        return statistics.median(ratios) if ratios else None


def run(
    setting: BenchEnv,
    lengths_s: Sequence[float],
    rounds: int,
    *,
    nfe_step: int,
    contest: Comparison,
    report: Callable[[TimedTake], None],
) -> SpeedResult:
    """Time everyone over every length, round by round; the first round of each text only warms and is not counted."""
    dtype = choose_dtype(setting.precision, torch.device(setting.device))
    name = torch.cuda.get_device_name() if setting.device == "cuda" else None
    result = SpeedResult(machine.measure(setting.device, dtype), nfe_step, name)
    ours = _ours_alone(setting, lengths_s, result)
    everyone = [systems.stock(setting, nfe_step)]
    everyone += [systems.recipe(setting, nfe_step)] if contest.recipe else []
    everyone += [ours]
    everyone += [systems.ours(setting, nfe_step, Switches(int8=True), _INT8)] if contest.int8 else []
    for length_s in lengths_s:
        text = text_of(length_s)
        for turn in range(rounds + 1):
            for one in everyone:
                with _products(setting, result, count=one is ours and turn > 0):
                    take = _take(one, text, length_s, first=turn > 0)
                report(take)
                if turn > 0:
                    result.takes.append(take)
    if contest.default:
        shortest = min(lengths_s)
        finest = systems.stock(setting, _STOCK_NFE)
        # Minutes on a CPU, where the first run is like any other; on a GPU it is not.
        warming, counted = (1, rounds) if setting.device == "cuda" else (0, 1)
        for turn in range(warming + counted):
            take = _take(finest, text_of(shortest), shortest, first=False)
            report(take)
            if turn >= warming:
                result.takes.append(take)
    _compare_with_floor(setting, result)
    return result


def _ours_alone(setting: BenchEnv, lengths_s: Sequence[float], result: SpeedResult) -> System:
    """Ours, made before the others are there, so that what it holds on a GPU can be told."""
    watch = Watch(setting.device)
    ours = systems.ours(setting, result.nfe_step, Switches())
    if setting.device == "cuda":
        for length_s in lengths_s:
            ours.whole(text_of(length_s))
    result.warm_s, result.peak = ours.warm_s, watch.peak()
    return ours


@contextmanager
def _products(setting: BenchEnv, result: SpeedResult, *, count: bool) -> Iterator[None]:
    """How near the evaluations alone come to the measured rate of products, for the lines' own frames."""
    if not count:
        yield
        return
    with watched() as runs, timed({_LOOP: (LOOP,)}, setting.device) as spent:
        yield
    frames = [count for run in runs for count in run.frames]
    if frames:  # upstream's modules tell nothing
        rate = machine.Rate(setting.dit(), result.nfe_step, result.machine.flop_per_s)
        result.shares.append(rate.share(frames, spent[_LOOP].seconds))


def _take(one: System, text: str, length_s: float, *, first: bool) -> TimedTake:
    started = time.perf_counter()
    sound = one.whole(text)
    synth_s = ttfa_s = time.perf_counter() - started
    part = one.first_part(text)
    if first and part != text:
        started = time.perf_counter()
        one.whole(part)
        ttfa_s = time.perf_counter() - started
    return TimedTake(one.name, length_s, synth_s, len(sound) / RATE_HZ, ttfa_s if first else None)


def _compare_with_floor(setting: BenchEnv, result: SpeedResult) -> None:
    """How near each of our takes came to the time that the arithmetic alone needs."""
    dit = setting.dit()
    clip = setting.clip()
    reference_frames = clip.audio.shape[-1] * RATE_HZ // clip.rate_hz // HOP
    dtype = getattr(torch, result.machine.dtype)
    for take in result.takes:
        if take.contestant == title("ours", result.nfe_step):
            frames = reference_frames + round(take.audio_s * RATE_HZ / HOP)
            floor_s = result.machine.floor_s(dit, frames, result.nfe_step, machine.loop_bytes(dit, dtype))
            result.fractions.append(floor_s / take.synth_s)


def summary(result: SpeedResult, model: str) -> dict[str, object]:
    """The one line of JSON; `docs/f5.md` documents its keys."""
    nfe = result.nfe_step
    ours = title("ours", nfe)
    takes = [take for take in result.takes if take.contestant == ours]
    waits = [take.ttfa_s for take in takes if take.ttfa_s is not None]
    return {
        "model": model,
        "precision": result.machine.dtype,
        "nfe_step": nfe,
        "ratio_equal_nfe": _rounded(result.ratio(title("stock", nfe), ours)),
        "ratio_default": _rounded(result.ratio(title("stock", _STOCK_NFE), ours)),
        "ratio_recipe": _rounded(result.ratio(title("recipe", nfe), ours)),
        "ratio_int8": _rounded(result.ratio(title("stock", nfe), title(_INT8, nfe))),
        "rtf": _rounded(statistics.median(take.rtf for take in takes)),
        "ttfa_s": _rounded(statistics.median(waits)) if waits else None,
        "fraction_of_floor": _rounded(statistics.median(result.fractions)),
        "gflop_per_s": round(result.machine.flop_per_s / 1e9, 1),
        "gb_per_s": round(result.machine.bytes_per_s / 1e9, 1),
        "device": result.device,
        "share_of_products": _rounded(statistics.median(result.shares)) if result.shares else None,
        "warm_s": _rounded(result.warm_s),
        "peak_mb": _rounded(result.peak.peak_mb if result.peak else None),
        "reserved_mb": _rounded(result.peak.reserved_mb if result.peak else None),
        "threads": result.machine.threads,
        "starts": [asdict(start) for start in result.starts],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

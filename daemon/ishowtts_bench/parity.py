"""Our sound against upstream's: same weights, reference, text and seed. And what must not pass, does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.switches import TABLE, Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench import mutations, random_checkpoint
from ishowtts_bench.bench_env import BenchEnv, settle
from ishowtts_bench.fidelity import deviation, distance
from ishowtts_bench.upstream_infer import UpstreamInfer

TOLERANCE = 1e-4
"""Of the waveform's peak, in fp32."""
CANARY = 1e-3
"""What a broken engine must differ by at least, of the peak: ten times what a right one may."""

ENGLISH = "The quick brown fox jumps over the dog."
_TEXTS = {
    "English": (ENGLISH, 7),
    "Chinese": ("今天天气很好,我们去公园散步。", 7),
    "both, with quotes": ("Oh, 你好 friend; it’s “fine”.", 5),
    "uniform steps": (ENGLISH, 4),
    "16 evaluations": (ENGLISH, 16),
}
_OTHER = "Seven lazy dogs sat there, and two cats."
_SHORT = "A short one, 你好."
_BRIEF = "uniform steps"
SEED = 3
_BATCH_NFE = 5
_MISSING = 100  # frames: about a second of the line's end
_REPEATED = 1e-6
_CLEARLY = 2.0  # as far as what rounding may do, a fault in half precision must be
_ALONE = tuple(
    switch.name
    for switch in TABLE
    if not (switch.changes_sound or switch.scheduler or switch.needs or switch.default is False)
)
_FIXED_ADDRESSES = tuple(name for switch in TABLE if switch.name == "graphs" for name in (switch.name, *switch.needs))


@dataclass(frozen=True)
class ParityRow:
    """One comparison.

    Args:
        error: largest difference over the peak of what it is held against; `inf` where lengths differ.
        limit: what it may be, or for a canary must at least be.
    """

    name: str
    error: float
    limit: float
    canary: bool = False

    @property
    def passed(self) -> bool:
        """Whether it is as it must be."""
        return self.error >= self.limit if self.canary else self.error <= self.limit


def run(setting: BenchEnv, report: Callable[[ParityRow], None]) -> bool:
    """Compare everything, a row at a time; whether all passed."""
    passed = True
    for row in _rows(replace(setting, precision="fp32")):
        report(row)
        passed = passed and row.passed
    return passed


def _rows(setting: BenchEnv) -> Iterator[ParityRow]:
    original = UpstreamInfer(setting.folder, setting.device, torch.float32)
    clip = setting.clip()
    right = {
        name: original.speak(clip, text, nfe_step=nfe_step, seed=SEED) for name, (text, nfe_step) in _TEXTS.items()
    }
    english = right["English"]
    with _engine(setting, Switches(exact_padding=False, graphs=False)) as ours:
        for name, (text, nfe_step) in _TEXTS.items():
            yield ParityRow(f"fast, {name}", distance(_speak(ours, text, nfe_step), right[name]), TOLERANCE)
        yield from _batch("a batch of mixed lengths", ours, (ENGLISH, _SHORT, f"{_OTHER} {ENGLISH}"))
        miss = _speak(ours, ENGLISH)
        # A GPU may add up in another order the second time.
        limit = 0.0 if setting.device == "cpu" else _REPEATED
        yield ParityRow("a second time, from the caches", distance(_speak(ours, ENGLISH), miss), limit)
        with mutations.guidance_swapped():
            yield _canary("guidance swapped", ours, english)
        with mutations.text_of_another_line(ENGLISH, _OTHER):
            yield _canary("the text of another line", ours, english)
    with _engine(setting, Switches(exact_padding=True, graphs=False)) as ours:
        yield ParityRow("padded to a bucket", distance(_speak(ours, ENGLISH), english), TOLERANCE)
        with mutations.text_at_bucket_length():
            yield _canary("text at a bucket's length", ours, english)
    with _engine(setting, Switches(reference_cache=False, exact_padding=False, graphs=False)) as ours:
        with mutations.uniform_steps():
            yield _canary("uniform steps", ours, english)
        # Another number of evaluations: the engine keeps the wrong schedule of the first.
        found = _speak(ours, *_TEXTS[_BRIEF])
        yield ParityRow("without the reference cache", distance(found, right[_BRIEF]), TOLERANCE)
    yield from at_fixed_addresses(setting, english)
    for switch in _ALONE:
        with _engine(setting, _alone(switch)) as ours:
            yield ParityRow(f"{switch} alone", distance(_speak(ours, ENGLISH), english), TOLERANCE)
    with _engine(setting, Switches.off()) as ours:
        yield ParityRow("all off", distance(_speak(ours, ENGLISH), english), TOLERANCE)
    yield from _upsampled(setting)
    yield from _half(setting, right[_BRIEF])


def at_fixed_addresses(setting: BenchEnv, right: FloatSamples) -> Iterator[ParityRow]:
    """Recorded where the device can; else the same addresses, step by step."""
    with mutations.loud_behind_the_end() as see, _engine(setting, _alone(*_FIXED_ADDRESSES)) as ours:
        yield ParityRow("graphs, with folds and exact_padding alone", distance(_speak(ours, ENGLISH), right), TOLERANCE)
        yield from _batch("a batch at fixed addresses", ours, (_OTHER, _SHORT))
        settle(ours)
        yield ParityRow("at fixed addresses, after other lines", distance(_speak(ours, ENGLISH), right), TOLERANCE)
        if setting.device == "cuda":
            yield from _batch("a recorded batch", ours, (_OTHER, _SHORT))
        see(1)
        yield _canary("one key not masked", ours, right)
        see(0)
        with mutations.stale_lengths(_MISSING):
            yield _canary("lengths of another line", ours, right)


def _upsampled(setting: BenchEnv) -> Iterator[ParityRow]:
    """A text that is spread over the frames, as in checkpoints that were trained so: tiny and random, made here."""
    text, nfe_step = _TEXTS[_BRIEF]
    with TemporaryDirectory(prefix="ishowtts-") as folder:
        random_checkpoint.make_checkpoint(Path(folder), "tiny", average_upsampling=True)
        tiny = replace(setting, folder=Path(folder))
        right = UpstreamInfer(tiny.folder, tiny.device, torch.float32).speak(
            tiny.clip(), text, nfe_step=nfe_step, seed=SEED
        )
        with _engine(tiny, Switches(exact_padding=True, graphs=False)) as ours:
            found = _speak(ours, text, nfe_step)
            yield ParityRow("average upsampling, padded to a bucket", distance(found, right), TOLERANCE)
            with mutations.text_at_bucket_length():
                error = distance(_speak(ours, text, nfe_step), right)
            yield ParityRow("average upsampling to a bucket", error, CANARY, canary=True)


def _half(setting: BenchEnv, exact: FloatSamples) -> Iterator[ParityRow]:
    """Half precision may be no farther from fp32 than stock in that precision is, and our runs from one another."""
    precision, dtype = ("fp16", torch.float16) if setting.device == "cuda" else ("bf16", torch.bfloat16)
    stock = UpstreamInfer(setting.folder, setting.device, dtype)
    text, nfe_step = _TEXTS[_BRIEF]
    with _noise_in_fp32():
        rounded = stock.speak(setting.clip(), text, nfe_step=nfe_step, seed=SEED)
    del stock
    limit = deviation(rounded, exact)
    with _engine(setting, Switches(), precision=precision) as ours:
        error = deviation(_speak(ours, text, nfe_step), exact)
    yield ParityRow(f"{precision}, no farther from fp32 than stock {precision}", error, limit)
    fixed = Switches(exact_padding=True, graphs=True)
    with mutations.loud_behind_the_end() as see, _engine(setting, fixed, precision=precision) as ours:
        first = _speak(ours, text, nfe_step)
        yield ParityRow(f"{precision}, padded, at fixed addresses", deviation(first, exact), limit)
        batch = [_segment(one, nfe_step) for one in (text, _SHORT)]
        recorded = setting.device == "cuda"
        if recorded:
            ours.render_batch(batch, _never)
            settle(ours)
        together = ours.render_batch(batch, _never)
        again, short = _speak(ours, text, nfe_step), _speak(ours, _SHORT, nfe_step)
        name = "recorded against step by step" if recorded else "a second time, after other lines"
        yield ParityRow(f"{precision}, {name}", deviation(again, first), limit)
        if recorded:
            yield ParityRow(f"{precision}, a second time", deviation(_speak(ours, text, nfe_step), again), limit)
        for segment, sound, alone in zip(batch, together, (again, short), strict=True):
            name = f"a batch of mixed lengths, {len(segment.text.encode())} bytes"
            yield ParityRow(f"{precision}, {name}", deviation(sound, alone), limit)
        least = _CLEARLY * limit
        see(1)
        error = deviation(_speak(ours, text, nfe_step), exact)
        yield ParityRow(f"{precision}, one key not masked", error, least, canary=True)
        see(0)
        with mutations.stale_lengths(_MISSING):
            error = deviation(_speak(ours, text, nfe_step), exact)
        yield ParityRow(f"{precision}, lengths of another line", error, least, canary=True)


def _batch(name: str, ours: F5Engine, texts: Sequence[str]) -> Iterator[ParityRow]:
    """Lines of several lengths in one padded batch, against each alone."""
    segments = [_segment(text, _BATCH_NFE) for text in texts]
    together = ours.render_batch(segments, _never)
    for segment, sound in zip(segments, together, strict=True):
        alone = ours.render(segment, _never)
        yield ParityRow(f"{name}, {len(segment.text.encode())} bytes", distance(sound, alone), TOLERANCE)


def _canary(name: str, ours: F5Engine, right: FloatSamples) -> ParityRow:
    return ParityRow(name, distance(_speak(ours, ENGLISH), right), CANARY, canary=True)


@contextmanager
def _noise_in_fp32() -> Iterator[None]:
    """Upstream draws its noise in half precision, which is another noise: give it the rounded one of fp32."""
    draw = torch.randn

    def randn(*shape: int, dtype: torch.dtype = torch.float32, **settings: object) -> torch.Tensor:
        return draw(*shape, **settings).to(dtype)  # type: ignore[call-overload, no-any-return]

    with patch.object(torch, "randn", randn):
        yield


def _alone(*switches: str) -> Switches:
    changes: dict[str, Any] = dict.fromkeys(switches, True)
    return Switches.off(**changes)


def _engine(setting: BenchEnv, switches: Switches, **changes: object) -> closing[F5Engine]:
    return closing(setting.engine(switches, **changes))


def _speak(ours: F5Engine, text: str, nfe_step: int = 7) -> FloatSamples:
    return ours.render(_segment(text, nfe_step), _never)


def _segment(text: str, nfe_step: int = 7) -> Segment:
    return Segment("bench", 0, 1, text, nfe_step=nfe_step, seed=SEED)


def _never() -> bool:
    return False

"""Compares our sound with upstream's: same weights, reference, text and seed. Mutated engines must not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import soundfile
import torch

from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.f5_switches import TABLE, Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench import mutations, random_checkpoint
from ishowtts_bench.bench_env import BenchEnv, finish_idle_work
from ishowtts_bench.fidelity import deviation, distance
from ishowtts_bench.upstream_infer import UpstreamInfer

TOLERANCE = 1e-4
"""Largest difference of a correct engine in fp32, relative to the peak."""
MUTATION_MIN_ERROR = 1e-3
"""Smallest difference of a mutated engine, relative to the peak: ten times the tolerance."""

ENGLISH = "The quick brown fox jumps over the dog."
_TEXTS = {
    "English": (ENGLISH, 7),
    "Chinese": ("今天天气很好,我们去公园散步。", 7),
    "both, with quotes": ("Oh, 你好 friend; it’s “fine”.", 5),
    "uniform steps": (ENGLISH, 4),
    "16 evaluations": (ENGLISH, 16),
}
_OTHER_TEXT = "Seven lazy dogs sat there, and two cats."
_SHORT_TEXT = "A short one, 你好."
# For each published shape that the measured weights may not have: the words of the clip, and a text. Semicolons and
# quotes differ between the two kinds of tokens.
_SHAPES: dict[random_checkpoint.Shape, tuple[str, str]] = {
    "silma": ("يسميني البعض الطبيعة", "أهلاً؛ “welcome”; كيف حالك؟"),
    "hindi": ("कुछ लोग मुझे प्रकृति कहते हैं", "नमस्ते; आप “कैसे” हैं?"),
}
_FEW_STEPS = "uniform steps"
SEED = 3
_BATCH_NFE = 5
_FEWEST = 4
_MISSING_FRAMES = 100  # about one second at the end of the line
_REPEATED_TOLERANCE = 1e-6
_HALF_PRECISION_FACTOR = 2.0  # a mutation in half precision must differ by this multiple of the rounding limit
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
        error: Largest difference, relative to the peak of the correct sound; `inf` if the lengths differ.
        limit: Upper limit of the error; for a mutation the lower limit.
        mutation: Whether the engine was broken on purpose.
    """

    name: str
    error: float
    limit: float
    mutation: bool = False

    @property
    def passed(self) -> bool:
        """Whether the error is on the right side of the limit."""
        return self.error >= self.limit if self.mutation else self.error <= self.limit


def run(env: BenchEnv, report: Callable[[ParityRow], None]) -> bool:
    """Compare everything and report each row. Returns whether all rows passed."""
    passed = True
    for row in _rows(replace(env, precision="fp32")):
        report(row)
        passed = passed and row.passed
    return passed


def _rows(env: BenchEnv) -> Iterator[ParityRow]:
    upstream = UpstreamInfer(env.folder, env.device, torch.float32)
    clip = env.reference_clip()
    expected = {
        name: upstream.synthesize(clip, text, nfe_step=nfe_step, seed=SEED) for name, (text, nfe_step) in _TEXTS.items()
    }
    english = expected["English"]
    with _engine(env, Switches(exact_padding=False, graphs=False)) as ours:
        for name, (text, nfe_step) in _TEXTS.items():
            yield ParityRow(f"fast, {name}", distance(_speak(ours, text, nfe_step), expected[name]), TOLERANCE)
        yield from _batch("a batch of mixed lengths", ours, (ENGLISH, _SHORT_TEXT, f"{_OTHER_TEXT} {ENGLISH}"))
        miss = _speak(ours, ENGLISH)
        # A GPU may add in another order the second time.
        limit = 0.0 if env.device == "cpu" else _REPEATED_TOLERANCE
        yield ParityRow("a second time, from the caches", distance(_speak(ours, ENGLISH), miss), limit)
        with mutations.guidance_swapped():
            yield _mutated("guidance swapped", ours, english)
        with mutations.text_of_another_line(ENGLISH, _OTHER_TEXT):
            yield _mutated("the text of another line", ours, english)
    with _engine(env, Switches(exact_padding=True, graphs=False)) as ours:
        yield ParityRow("padded to a bucket", distance(_speak(ours, ENGLISH), english), TOLERANCE)
        with mutations.text_at_bucket_length():
            yield _mutated("text at a bucket's length", ours, english)
    with _engine(env, Switches(reference_cache=False, exact_padding=False, graphs=False)) as ours:
        with mutations.uniform_steps():
            yield _mutated("uniform steps", ours, english)
        # Another number of evaluations, because the engine keeps the wrong schedule of the mutation.
        found = _speak(ours, *_TEXTS[_FEW_STEPS])
        yield ParityRow("without the reference cache", distance(found, expected[_FEW_STEPS]), TOLERANCE)
    yield from at_fixed_addresses(env, english)
    for switch in _ALONE:
        with _engine(env, _alone(switch)) as ours:
            yield ParityRow(f"{switch} alone", distance(_speak(ours, ENGLISH), english), TOLERANCE)
    with _engine(env, Switches.off()) as ours:
        yield ParityRow("all off", distance(_speak(ours, ENGLISH), english), TOLERANCE)
    yield from _upsampled(env)
    for shape in _SHAPES:
        yield from _published(env, shape)
    yield from _half(env, expected[_FEW_STEPS])


def at_fixed_addresses(env: BenchEnv, expected: FloatSamples) -> Iterator[ParityRow]:
    """Compare runs at fixed addresses. They are CUDA graphs if the device has them, otherwise single steps."""
    with mutations.loud_padding() as unmask, _engine(env, _alone(*_FIXED_ADDRESSES)) as ours:
        yield ParityRow(
            "graphs, with folds and exact_padding alone", distance(_speak(ours, ENGLISH), expected), TOLERANCE
        )
        yield from _batch("a batch at fixed addresses", ours, (_OTHER_TEXT, _SHORT_TEXT))
        finish_idle_work(ours)
        yield ParityRow("at fixed addresses, after other lines", distance(_speak(ours, ENGLISH), expected), TOLERANCE)
        if env.device == "cuda":
            yield from _batch("a captured batch", ours, (_OTHER_TEXT, _SHORT_TEXT))
        unmask(1)
        yield _mutated("one key not masked", ours, expected)
        unmask(0)
        with mutations.stale_lengths(_MISSING_FRAMES):
            yield _mutated("lengths of another line", ours, expected)


def _upsampled(env: BenchEnv) -> Iterator[ParityRow]:
    """Compare a checkpoint that spreads the text over the frames. It is tiny and random, and made here."""
    text, nfe_step = _TEXTS[_FEW_STEPS]
    with TemporaryDirectory(prefix="ishowtts-") as folder:
        random_checkpoint.make_checkpoint(Path(folder), "tiny", average_upsampling=True)
        tiny = replace(env, folder=Path(folder))
        expected = UpstreamInfer(tiny.folder, tiny.device, torch.float32).synthesize(
            tiny.reference_clip(), text, nfe_step=nfe_step, seed=SEED
        )
        with _engine(tiny, Switches(exact_padding=True, graphs=False)) as ours:
            found = _speak(ours, text, nfe_step)
            yield ParityRow("average upsampling, padded to a bucket", distance(found, expected), TOLERANCE)
            with mutations.text_at_bucket_length():
                error = distance(_speak(ours, text, nfe_step), expected)
            yield ParityRow("average upsampling to a bucket", error, MUTATION_MIN_ERROR, mutation=True)


def _published(env: BenchEnv, shape: random_checkpoint.Shape) -> Iterator[ParityRow]:
    """Compare a published shape. The checkpoint is tiny and random, and made here, with a voice in its language."""
    words, text = _SHAPES[shape]
    with TemporaryDirectory(prefix="ishowtts-") as name:
        folder = Path(name)
        random_checkpoint.make_checkpoint(folder / "weights", "tiny", shape=shape)
        (folder / "voices" / shape).mkdir(parents=True)
        samples, rate_hz = soundfile.read(VoiceLibrary(None).find(None).audio_path)
        soundfile.write(folder / "voices" / shape / "reference.wav", samples[: 2 * rate_hz], rate_hz)
        (folder / "voices" / shape / "reference.txt").write_text(words, encoding="utf-8")
        tiny = replace(env, folder=folder / "weights", voices_dir=folder / "voices", voice=shape)
        expected = UpstreamInfer(tiny.folder, tiny.device, torch.float32).synthesize(
            tiny.reference_clip(), text, nfe_step=_FEWEST, seed=SEED
        )
        with _engine(tiny, Switches(exact_padding=True, graphs=False)) as ours:
            error = distance(_speak(ours, text, _FEWEST), expected)
        yield ParityRow(f"the shape {shape}, padded to a bucket", error, TOLERANCE)


def _half(env: BenchEnv, exact: FloatSamples) -> Iterator[ParityRow]:
    """Compare half precision. The limit is the deviation of upstream in half precision from upstream in fp32.

    Our sound may not deviate more than that from fp32, and two runs of ours may not deviate more from each other.
    """
    precision, dtype = ("fp16", torch.float16) if env.device == "cuda" else ("bf16", torch.bfloat16)
    upstream = UpstreamInfer(env.folder, env.device, dtype)
    text, nfe_step = _TEXTS[_FEW_STEPS]
    with _noise_in_fp32():
        rounded = upstream.synthesize(env.reference_clip(), text, nfe_step=nfe_step, seed=SEED)
    del upstream
    limit = deviation(rounded, exact)
    with _engine(env, Switches(), precision=precision) as ours:
        error = deviation(_speak(ours, text, nfe_step), exact)
    yield ParityRow(f"{precision}, deviation from fp32 (limit: upstream in {precision})", error, limit)
    fixed = Switches(exact_padding=True, graphs=True)
    with mutations.loud_padding() as unmask, _engine(env, fixed, precision=precision) as ours:
        first = _speak(ours, text, nfe_step)
        yield ParityRow(f"{precision}, padded, at fixed addresses", deviation(first, exact), limit)
        batch = [_segment(text, nfe_step), _segment(_SHORT_TEXT, nfe_step)]
        captured = env.device == "cuda"
        if captured:
            ours.render_batch(batch, _never)
            finish_idle_work(ours)
        together = ours.render_batch(batch, _never)
        again, short = _speak(ours, text, nfe_step), _speak(ours, _SHORT_TEXT, nfe_step)
        name = "captured against step by step" if captured else "a second time, after other lines"
        yield ParityRow(f"{precision}, {name}", deviation(again, first), limit)
        if captured:
            yield ParityRow(f"{precision}, a second time", deviation(_speak(ours, text, nfe_step), again), limit)
        for segment, sound, alone in zip(batch, together, (again, short), strict=True):
            name = f"a batch of mixed lengths, {len(segment.text.encode())} bytes"
            yield ParityRow(f"{precision}, {name}", deviation(sound, alone), limit)
        least = _HALF_PRECISION_FACTOR * limit
        unmask(1)
        error = deviation(_speak(ours, text, nfe_step), exact)
        yield ParityRow(f"{precision}, one key not masked", error, least, mutation=True)
        unmask(0)
        with mutations.stale_lengths(_MISSING_FRAMES):
            error = deviation(_speak(ours, text, nfe_step), exact)
        yield ParityRow(f"{precision}, lengths of another line", error, least, mutation=True)


def _batch(name: str, ours: F5Engine, texts: Sequence[str]) -> Iterator[ParityRow]:
    """Compare segments of several lengths in one padded batch with each segment alone."""
    segments = [_segment(text, _BATCH_NFE) for text in texts]
    together = ours.render_batch(segments, _never)
    for segment, sound in zip(segments, together, strict=True):
        alone = ours.render(segment, _never)
        yield ParityRow(f"{name}, {len(segment.text.encode())} bytes", distance(sound, alone), TOLERANCE)


def _mutated(name: str, ours: F5Engine, expected: FloatSamples) -> ParityRow:
    return ParityRow(name, distance(_speak(ours, ENGLISH), expected), MUTATION_MIN_ERROR, mutation=True)


@contextmanager
def _noise_in_fp32() -> Iterator[None]:
    """Round the noise of fp32 for upstream, which would otherwise draw different noise in half precision."""
    draw = torch.randn

    def randn(*shape: int, dtype: torch.dtype = torch.float32, **options: object) -> torch.Tensor:
        return draw(*shape, **options).to(dtype)  # type: ignore[call-overload, no-any-return]

    with patch.object(torch, "randn", randn):
        yield


def _alone(*switches: str) -> Switches:
    changes: dict[str, Any] = dict.fromkeys(switches, True)
    return Switches.off(**changes)


def _engine(env: BenchEnv, switches: Switches, **changes: object) -> closing[F5Engine]:
    return closing(env.engine(switches, **changes))


def _speak(ours: F5Engine, text: str, nfe_step: int = 7) -> FloatSamples:
    return ours.render(_segment(text, nfe_step), _never)


def _segment(text: str, nfe_step: int = 7) -> Segment:
    return Segment("bench", 0, 1, text, nfe_step=nfe_step, seed=SEED)


def _never() -> bool:
    return False

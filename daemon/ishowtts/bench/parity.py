"""Our sound against upstream's: same weights, reference, text and seed. And what must not pass, does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch

from ishowtts.bench.fidelity import deviation, distance
from ishowtts.bench.original import Original
from ishowtts.bench.setting import Setting
from ishowtts.engines.f5 import attention, dit, policy, schedule, text_encoder, tokens
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.options import Optimisations
from ishowtts.seams import Sound
from ishowtts.speech import Segment

TOLERANCE = 1e-4
"""Of the waveform's peak, in fp32."""
CANARY = 1e-3
"""What a broken engine must differ by at least, of the peak: ten times what a right one may."""

_ENGLISH = "The quick brown fox jumps over the dog."
_TEXTS = {
    "English": (_ENGLISH, 7),
    "Chinese": ("今天天气很好,我们去公园散步。", 7),
    "both, with quotes": ("Oh, 你好 friend; it’s “fine”.", 5),
    "uniform steps": (_ENGLISH, 8),
    "16 evaluations": (_ENGLISH, 16),
}
_OTHER = "Seven lazy dogs sat there, and two cats."
_SEED = 3
_ALONE = ("folds", "text_once", "reference_cache", "exact_padding", "cpu_kernels")


@dataclass(frozen=True)
class Row:
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


def run(setting: Setting, report: Callable[[Row], None]) -> bool:
    """Compare everything, a row at a time; whether all passed."""
    passed = True
    for row in _rows(replace(setting, precision="fp32")):
        report(row)
        passed = passed and row.passed
    return passed


def _rows(setting: Setting) -> Iterator[Row]:
    original = Original(setting.folder, setting.device, torch.float32)
    clip = setting.clip()

    def stock(text: str, nfe_step: int = 7) -> Sound:
        return original.speak(clip, text, nfe_step=nfe_step, seed=_SEED)

    english = stock(_ENGLISH)
    with _engine(setting, Optimisations(exact_padding=False)) as ours:
        for name, (text, nfe_step) in _TEXTS.items():
            yield Row(f"fast, {name}", distance(_speak(ours, text, nfe_step), stock(text, nfe_step)), TOLERANCE)
        yield from _batches(ours)
        miss = _speak(ours, _ENGLISH)
        yield Row("a second time, from the caches", distance(_speak(ours, _ENGLISH), miss), 0.0)
        yield from _canaries(ours, english)
    with _engine(setting, Optimisations(exact_padding=True)) as ours:
        yield Row("padded to a bucket", distance(_speak(ours, _ENGLISH), english), TOLERANCE)
        with _text_at_bucket_length():
            yield Row("text at a bucket's length", distance(_speak(ours, _ENGLISH), english), CANARY, canary=True)
    with patch.object(schedule, "_EPSS", {}), _engine(setting, Optimisations(exact_padding=False)) as ours:
        yield Row("uniform steps", distance(_speak(ours, _ENGLISH), english), CANARY, canary=True)
    with _one_key_not_masked(), _engine(setting, Optimisations(exact_padding=True)) as ours:
        yield Row("one key not masked", distance(_speak(ours, _ENGLISH), english), CANARY, canary=True)
    with _engine(setting, Optimisations(reference_cache=False)) as ours:
        yield Row("without the reference cache", distance(_speak(ours, _ENGLISH), english), TOLERANCE)
    for switch in _ALONE:
        with _engine(setting, _alone(switch)) as ours:
            yield Row(f"{switch} alone", distance(_speak(ours, _ENGLISH), english), TOLERANCE)
    with _engine(setting, Optimisations.off()) as ours:
        yield Row("all off", distance(_speak(ours, _ENGLISH), english), TOLERANCE)
    yield _half(setting, english)


def _batches(ours: F5Engine) -> Iterator[Row]:
    """Lines of several lengths in one padded batch, against each alone."""
    segments = [_segment(text) for text in (_ENGLISH, "A short one, 你好.", f"{_OTHER} {_ENGLISH}")]
    together = ours.render_batch(segments, _never)
    for segment, sound in zip(segments, together, strict=True):
        alone = ours.render(segment, _never)
        yield Row(f"a batch of mixed lengths, {len(segment.text.encode())} bytes", distance(sound, alone), TOLERANCE)


def _half(setting: Setting, exact: Sound) -> Row:
    """Half precision may be no farther from fp32 than stock in that precision is."""
    precision, dtype = ("fp16", torch.float16) if setting.device == "cuda" else ("bf16", torch.bfloat16)
    stock = Original(setting.folder, setting.device, dtype)
    with _noise_in_fp32():
        rounded = stock.speak(setting.clip(), _ENGLISH, nfe_step=7, seed=_SEED)
    with _engine(setting, Optimisations(), precision=precision) as ours:
        error = deviation(_speak(ours, _ENGLISH), exact)
    return Row(f"{precision}, no farther from fp32 than stock {precision}", error, deviation(rounded, exact))


@contextmanager
def _noise_in_fp32() -> Iterator[None]:
    """Upstream draws its noise in half precision, which is another noise: give it the rounded one of fp32."""
    draw = torch.randn

    def randn(*shape: int, dtype: torch.dtype = torch.float32, **settings: object) -> torch.Tensor:
        return draw(*shape, **settings).to(dtype)  # type: ignore[call-overload, no-any-return]

    with patch.object(torch, "randn", randn):
        yield


def _canaries(ours: F5Engine, right: Sound) -> Iterator[Row]:
    """Faults that a comparison must find, or it finds nothing."""
    velocity = dit.velocity

    def swapped(*args: object) -> torch.Tensor:
        return torch.cat(velocity(*args).chunk(2)[::-1])  # type: ignore[arg-type]

    stale = tokens.Tokenizer.__call__
    faults: dict[str, AbstractContextManager[object]] = {
        "guidance swapped": patch.object(dit, "velocity", swapped),
        "the text of another line": patch.object(
            tokens.Tokenizer, "__call__", lambda self, text: stale(self, text.replace(_ENGLISH, _OTHER))
        ),
    }
    for name, fault in faults.items():
        with fault:
            yield Row(name, distance(_speak(ours, _ENGLISH), right), CANARY, canary=True)


@contextmanager
def _text_at_bucket_length() -> Iterator[None]:
    encode = text_encoder.encode

    def at_bucket(weights: text_encoder.TextEncoder, ids: torch.Tensor, _frames: int) -> torch.Tensor:
        return encode(weights, ids, policy.BUCKETS[-1])

    with patch.object(text_encoder, "encode", at_bucket):
        yield


@contextmanager
def _one_key_not_masked() -> Iterator[None]:
    """For engines that are loaded inside: each padded line looks at one frame behind its end."""

    def leaking(attend: attention.Attention) -> attention.Attention:
        def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: attention.Lengths | None) -> torch.Tensor:
            if lengths is None:
                return attend(q, k, v, None)
            frames = None if lengths.frames is None else tuple(count + 1 for count in lengths.frames)
            positions = torch.arange(lengths.keep.shape[1], device=q.device)
            counts = lengths.counts + 1
            keep = positions < counts.unsqueeze(1)
            return attend(q, k, v, attention.Lengths(frames, keep, counts, lengths.starts))

        return run

    leaks = {name: leaking(attend) for name, attend in attention.ATTENTIONS.items()}
    with patch.dict(attention.ATTENTIONS, leaks):
        yield


def _alone(switch: str) -> Optimisations:
    changes: dict[str, Any] = {switch: True}
    return replace(Optimisations.off(), **changes)


def _engine(setting: Setting, switches: Optimisations, **changes: object) -> closing[F5Engine]:
    return closing(setting.engine(switches, **changes))


def _speak(ours: F5Engine, text: str, nfe_step: int = 7) -> Sound:
    return ours.render(_segment(text, nfe_step), _never)


def _segment(text: str, nfe_step: int = 7) -> Segment:
    return Segment("bench", 0, 1, text, nfe_step=nfe_step, seed=_SEED)


def _never() -> bool:
    return False

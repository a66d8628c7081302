"""Who is timed: stock f5-tts, the recipe of the system before this one, and this engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ishowtts import text as texts
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import multiplies_bf16
from ishowtts.engines.f5.reference import prepare
from ishowtts.engines.f5.switches import Switches
from ishowtts.engines.f5.upstream_model import compile_modules
from ishowtts.model import Segment
from ishowtts.speech import segment_planner
from ishowtts.util.crossfade import FloatSamples, join
from ishowtts_bench.bench_env import BenchEnv, ReferenceClip, settle
from ishowtts_bench.timers import now_s
from ishowtts_bench.upstream_infer import UpstreamInfer, utils_infer


@dataclass(frozen=True)
class System:
    """Someone who speaks a text.

    Args:
        whole: the whole text to sound.
        first_part: the part of it that a listener waits for.
        warm_s: what loading and warming up took, imports left out; `None`: nobody asked.
    """

    name: str
    whole: Callable[[str], FloatSamples]
    first_part: Callable[[str], str]
    warm_s: float | None = None


def stock(setting: BenchEnv, nfe_step: int) -> System:
    """f5-tts as it is: `chunk_text` and `infer_batch_process`; the first sound is heard when all is made."""
    original = UpstreamInfer(setting.folder, setting.device)
    return _of_original("stock", original, setting.clip(), nfe_step)


def recipe(setting: BenchEnv, nfe_step: int) -> System:
    """torch.compile on model and vocoder, autocast, the reference converted once: as the earlier system had it."""
    original = UpstreamInfer(setting.folder, setting.device, torch.float32)
    mode = "max-autotune" if setting.device == "cuda" else None
    compile_modules(original.cfm, original.vocos, mode)
    half = torch.float16 if setting.device == "cuda" else torch.bfloat16
    speak = _of_original("recipe", original, _at_rate(setting.clip()), nfe_step)
    enabled = setting.device == "cuda" or multiplies_bf16()

    def whole(text: str) -> FloatSamples:
        with torch.autocast(setting.device, half, enabled=enabled):
            return speak.whole(text)

    return replace(speak, whole=whole)


def ours(setting: BenchEnv, nfe_step: int, switches: Switches, name: str = "ours") -> System:
    """This engine, cut into segments as the pipeline does, with everything recorded that lines may lack."""
    started = now_s(setting.device)
    engine = setting.engine(switches, nfe_step=nfe_step)
    engine.warm(lambda _: None)
    warm_s = now_s(setting.device) - started
    settle(engine)
    card = engine.prepare(None)

    def whole(text: str) -> FloatSamples:
        parts = texts.segments(text, card.max_segment_bytes)
        segments = [Segment("bench", i, len(parts), part, seed=0) for i, part in enumerate(parts)]
        return join([engine.render(segment, lambda: False) for segment in segments], RATE_HZ)

    return System(title(name, nfe_step), whole, lambda text: segment_planner.split(text, card, card.cost)[0], warm_s)


def title(name: str, nfe_step: int) -> str:
    """What a contestant is called in tables."""
    return f"{name}, NFE {nfe_step}"


def _of_original(name: str, original: UpstreamInfer, clip: ReferenceClip, nfe_step: int) -> System:
    max_bytes = prepare("bench", clip.audio, clip.rate_hz, clip.text).max_segment_bytes

    def whole(text: str) -> FloatSamples:
        return original.speak(clip, utils_infer().chunk_text(text, max_chars=max_bytes), nfe_step=nfe_step)

    return System(title(name, nfe_step), whole, lambda text: text)


def _at_rate(clip: ReferenceClip) -> ReferenceClip:
    """Mono, at 24 kHz, at the loudness that upstream would bring it to."""
    return ReferenceClip(prepare("bench", clip.audio, clip.rate_hz, clip.text).audio, RATE_HZ, clip.text)

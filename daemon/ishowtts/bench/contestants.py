"""Who is timed: stock f5-tts, the recipe of the system before this one, and this engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts import text as texts
from ishowtts.bench.original import Original, utils_infer
from ishowtts.bench.setting import Clip, Setting
from ishowtts.engines.f5.device import multiplies_bf16
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.options import Optimisations
from ishowtts.engines.f5.reference import TARGET_RMS
from ishowtts.engines.f5.seam import join
from ishowtts.pipeline import stride
from ishowtts.speech import Segment

_RATE_HZ = 24_000
_WINDOW_S = 22.0

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Contestant:
    """Someone who speaks a text.

    Args:
        whole: the whole text to sound.
        first: only what a listener waits for.
    """

    name: str
    nfe_step: int
    whole: Callable[[str], Sound]
    first: Callable[[str], Sound]


def stock(setting: Setting, nfe_step: int) -> Contestant:
    """f5-tts as it is: `chunk_text` and `infer_batch_process`; the first sound is heard when all is made."""
    original = Original(setting.folder, setting.device)
    return _of_original(f"stock, NFE {nfe_step}", original, setting.clip(), nfe_step)


def recipe(setting: Setting, nfe_step: int) -> Contestant:
    """torch.compile on model and vocoder, autocast, the reference converted once: as the earlier system had it."""
    original = Original(setting.folder, setting.device, torch.float32)
    mode = "max-autotune" if setting.device == "cuda" else None
    original.cfm.transformer = torch.compile(original.cfm.transformer, mode=mode)
    original.vocos.backbone = torch.compile(original.vocos.backbone, mode=mode)
    half = torch.float16 if setting.device == "cuda" else torch.bfloat16
    speak = _of_original(f"recipe, NFE {nfe_step}", original, _at_rate(setting.clip()), nfe_step)
    enabled = setting.device == "cuda" or multiplies_bf16()

    def whole(text: str) -> Sound:
        with torch.autocast(setting.device, half, enabled=enabled):
            return speak.whole(text)

    return Contestant(speak.name, nfe_step, whole, whole)


def ours(setting: Setting, nfe_step: int, switches: Optimisations, name: str = "ours") -> Contestant:
    """This engine, cut into segments as the pipeline does."""
    engine = F5Engine(setting.options(switches, nfe_step=nfe_step))
    engine.load(lambda _: None)
    engine.warm(lambda _: None)

    def speak(parts: list[str]) -> Sound:
        return join([engine.render(Segment("bench", i, len(parts), part, seed=0), lambda: False)
                     for i, part in enumerate(parts)])  # fmt: skip

    def whole(text: str) -> Sound:
        return speak(texts.segments(text, engine.prepare(None).max_segment_bytes))

    def first(text: str) -> Sound:
        card = engine.prepare(None)
        return speak(stride.cut(texts.clean(text), card, card.cost)[:1])

    return Contestant(f"{name}, NFE {nfe_step}", nfe_step, whole, first)


def _of_original(name: str, original: Original, clip: Clip, nfe_step: int) -> Contestant:
    length_s = clip.audio.shape[-1] / clip.rate_hz
    max_bytes = int(len(clip.text.encode()) / length_s * (_WINDOW_S - length_s))

    def whole(text: str) -> Sound:
        chunks = utils_infer().chunk_text(text, max_chars=max_bytes)
        return original.speak(clip, chunks, nfe_step=nfe_step)

    return Contestant(name, nfe_step, whole, whole)


def _at_rate(clip: Clip) -> Clip:
    """Mono, at 24 kHz, at the loudness that upstream would bring it to."""
    import torchaudio

    audio = clip.audio.mean(0, keepdim=True)
    rms = audio.square().mean().sqrt()
    audio = audio * TARGET_RMS / rms if rms < TARGET_RMS else audio
    return Clip(torchaudio.functional.resample(audio, clip.rate_hz, _RATE_HZ), _RATE_HZ, clip.text)

"""Measures Vocos alone in several variants, and its share of a whole segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ishowtts.engines.f5 import checkpoint
from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.engine import F5Engine
from ishowtts.engines.f5.reference import prepare
from ishowtts.engines.f5.upstream_model import load_vocos
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.engines.weights import examine
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.bench_env import BenchEnv, finish_idle_work, make_text
from ishowtts_bench.fidelity import deviation
from ishowtts_bench.timers import synchronized_s, timed

LENGTHS_S = (1.0, 3.0, 10.0, 30.0)
UPSTREAM = "upstream, fp32"
_PART = "vocoder"

Decode = Callable[[Tensor], Tensor]
"""Log mel, fp32 [frames, 100], to sound, fp32 [samples]."""


@dataclass(frozen=True)
class VocoderVariant:
    """One variant at one length.

    Args:
        synth_s: Best time of all rounds.
        ratio: Time relative to upstream.
        deviation: Deviation of the sound from upstream's (`fidelity`).
    """

    name: str
    length_s: float
    synth_s: float
    ratio: float
    deviation: float


@dataclass(frozen=True)
class VocoderPart:
    """Time of the vocoder in a whole segment, with the default configuration: in the fastest of all rounds."""

    length_s: float
    synth_s: float
    share: float


@dataclass(frozen=True)
class VocoderResult:
    """Every variant at every length, and the share of the vocoder in segments of at most one run."""

    decoders: list[VocoderVariant]
    parts: list[VocoderPart]


def run(env: BenchEnv, rounds: int, nfe_step: int, *, compiled: bool, report: Callable[[str], None]) -> VocoderResult:
    """Decode the spectrogram of the voice, repeated to each length."""
    with torch.inference_mode():
        variants = _variants(env, compiled)
        clip = env.reference_clip()
        mel = prepare("bench", clip.audio, clip.rate_hz, clip.text).mel.to(env.device)
        decoders: list[VocoderVariant] = []
        for number, length_s in enumerate(LENGTHS_S, 1):
            report(f"{number} of {2 * len(LENGTHS_S)}: {length_s:g} s of sound")
            frames = round(length_s * RATE_HZ / HOP) + 1
            decoders += _time_variants(
                variants, mel.repeat(frames // len(mel) + 1, 1)[:frames], length_s, rounds, env.device
            )
    return VocoderResult(decoders, _parts(env, rounds, nfe_step, report))


def _variants(env: BenchEnv, compiled: bool) -> dict[str, Decode]:
    loaded = checkpoint.load(examine(env.folder))
    device = torch.device(env.device)
    upstream = load_vocos(loaded).to(device)
    variants: dict[str, Decode] = {UPSTREAM: lambda mel: upstream.decode(mel.t().unsqueeze(0)).squeeze(0)}
    halves = {"fp32": torch.float32} | ({"fp16": torch.float16} if env.device == "cuda" else {})
    for name, dtype in halves.items():
        variants[f"ours, backbone in {name}"] = _ours(FastVocoder(loaded.vocoder, loaded.vocos, device, dtype))
    if compiled:
        other = load_vocos(loaded).to(device)
        other.backbone = torch.compile(other.backbone, mode="max-autotune" if env.device == "cuda" else None)
        variants["upstream, backbone compiled"] = lambda mel: other.decode(mel.t().unsqueeze(0)).squeeze(0)
    return variants


def _ours(vocoder: FastVocoder) -> Decode:
    return lambda mel: vocoder.decode(mel.unsqueeze(0), [len(mel)])[0]


def _time_variants(
    variants: dict[str, Decode], mel: Tensor, length_s: float, rounds: int, device: str
) -> list[VocoderVariant]:
    """Measure the variants in turns, and keep the best time of each. The first round only warms up."""
    best_s = dict.fromkeys(variants, float("inf"))
    sounds: dict[str, FloatSamples] = {}
    for round_number in range(rounds + 1):
        for name, decode in variants.items():
            started = synchronized_s(device)
            sound = decode(mel)
            spent_s = synchronized_s(device) - started
            sounds[name] = sound.float().cpu().numpy().astype(np.float32)
            if round_number > 0:
                best_s[name] = min(best_s[name], spent_s)
    return [
        VocoderVariant(
            name, length_s, best_s[name], best_s[name] / best_s[UPSTREAM], deviation(sound, sounds[UPSTREAM])
        )
        for name, sound in sounds.items()
    ]


def _parts(env: BenchEnv, rounds: int, nfe_step: int, report: Callable[[str], None]) -> list[VocoderPart]:
    engine = env.engine(Switches(), nfe_step=nfe_step)
    most_bytes = engine.prepare(None).max_segment_bytes
    parts = []
    for number, length_s in enumerate(LENGTHS_S, len(LENGTHS_S) + 1):
        text = make_text(length_s)
        if len(text.encode()) > most_bytes:
            continue
        report(f"{number} of {2 * len(LENGTHS_S)}: a whole segment of {length_s:g} s")
        segment = Segment("bench", 0, 1, text, seed=0)
        engine.render(segment, lambda: False)
        finish_idle_work(engine)
        whole_s, synth_s = min(_whole_and_part_s(engine, segment, env.device) for _ in range(rounds))
        parts.append(VocoderPart(length_s, synth_s, synth_s / whole_s))
    engine.close()
    return parts


def _whole_and_part_s(engine: F5Engine, segment: Segment, device: str) -> tuple[float, float]:
    """The time of a whole segment, and the vocoder's part of it."""
    with timed({_PART: ((FastVocoder, "decode"),)}, device) as spent:
        started = synchronized_s(device)
        engine.render(segment, lambda: False)
        whole_s = synchronized_s(device) - started
    return whole_s, spent[_PART].seconds

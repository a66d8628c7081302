"""Vocos alone, in the ways that it can run: what there is to be won, and how much of a segment it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ishowtts.engines.f5 import checkpoint
from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.reference import prepare
from ishowtts.engines.f5.switches import Switches
from ishowtts.engines.f5.upstream_model import load_vocos
from ishowtts.engines.f5.vocoder import FastVocoder
from ishowtts.engines.weights import examine
from ishowtts.model import Segment
from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.bench_env import BenchEnv, settle, text_of
from ishowtts_bench.fidelity import deviation
from ishowtts_bench.timers import now_s, timed

LENGTHS_S = (1.0, 3.0, 10.0, 30.0)
UPSTREAM = "upstream, fp32"
NO_TENSORRT = (
    "Vocos through TensorRT is not built in this version: no machine with TensorRT was at hand, and Vocos is about "
    "0.5 % of the work"
)
_PART = "vocoder"

Decode = Callable[[Tensor], Tensor]
"""Log mel, fp32 [frames, 100], to sound, fp32 [samples]."""


@dataclass(frozen=True)
class VocoderVariant:
    """One way over one length.

    Args:
        synth_s: the best of the rounds.
        ratio: as many times as long as upstream takes.
        deviation: of the sound from upstream's (`fidelity`).
    """

    name: str
    length_s: float
    synth_s: float
    ratio: float
    deviation: float


@dataclass(frozen=True)
class VocoderPart:
    """What the vocoder takes of a whole segment, as the engine is configured by default."""

    length_s: float
    synth_s: float
    share: float


@dataclass(frozen=True)
class VocoderResult:
    """Every way over every length, and the vocoder's part of segments that are no longer than one run."""

    decoders: list[VocoderVariant]
    parts: list[VocoderPart]


def run(
    setting: BenchEnv, rounds: int, nfe_step: int, *, compiled: bool, report: Callable[[str], None]
) -> VocoderResult:
    """Over the voice's own spectrogram, said again and again."""
    with torch.inference_mode():
        ways = _ways(setting, compiled)
        clip = setting.clip()
        mel = prepare("bench", clip.audio, clip.rate_hz, clip.text).mel.to(setting.device)
        decoders: list[VocoderVariant] = []
        for length_s in LENGTHS_S:
            report(f"{length_s:g} s of sound")
            frames = round(length_s * RATE_HZ / HOP) + 1
            decoders += _race(ways, mel.repeat(frames // len(mel) + 1, 1)[:frames], length_s, rounds, setting.device)
    return VocoderResult(decoders, _parts(setting, nfe_step, report))


def _ways(setting: BenchEnv, compiled: bool) -> dict[str, Decode]:
    loaded = checkpoint.load(examine(setting.folder))
    device = torch.device(setting.device)
    upstream = load_vocos(loaded).to(device)
    ways: dict[str, Decode] = {UPSTREAM: lambda mel: upstream.decode(mel.t().unsqueeze(0)).squeeze(0)}
    halves = {"fp32": torch.float32} | ({"fp16": torch.float16} if setting.device == "cuda" else {})
    for name, dtype in halves.items():
        ways[f"ours, backbone in {name}"] = _ours(FastVocoder(loaded.vocoder, loaded.vocos, device, dtype))
    if compiled:
        other = load_vocos(loaded).to(device)
        other.backbone = torch.compile(other.backbone, mode="max-autotune" if setting.device == "cuda" else None)
        ways["upstream, backbone compiled"] = lambda mel: other.decode(mel.t().unsqueeze(0)).squeeze(0)
    return ways


def _ours(vocoder: FastVocoder) -> Decode:
    return lambda mel: vocoder.decode(mel.unsqueeze(0), [len(mel)])[0]


def _race(ways: dict[str, Decode], mel: Tensor, length_s: float, rounds: int, device: str) -> list[VocoderVariant]:
    """Side by side, the best of a few rounds each; the first only warms."""
    best_s = dict.fromkeys(ways, float("inf"))
    sounds: dict[str, FloatSamples] = {}
    for turn in range(rounds + 1):
        for name, decode in ways.items():
            started = now_s(device)
            sound = decode(mel)
            spent_s = now_s(device) - started
            sounds[name] = sound.float().cpu().numpy().astype(np.float32)
            if turn > 0:
                best_s[name] = min(best_s[name], spent_s)
    return [
        VocoderVariant(
            name, length_s, best_s[name], best_s[name] / best_s[UPSTREAM], deviation(sound, sounds[UPSTREAM])
        )
        for name, sound in sounds.items()
    ]


def _parts(setting: BenchEnv, nfe_step: int, report: Callable[[str], None]) -> list[VocoderPart]:
    engine = setting.engine(Switches(), nfe_step=nfe_step)
    most_bytes = engine.prepare(None).max_segment_bytes
    parts = []
    for length_s in LENGTHS_S:
        text = text_of(length_s)
        if len(text.encode()) > most_bytes:
            continue
        report(f"a whole segment of {length_s:g} s")
        segment = Segment("bench", 0, 1, text, seed=0)
        engine.render(segment, lambda: False)
        settle(engine)
        with timed({_PART: ((FastVocoder, "decode"),)}, setting.device) as spent:
            started = now_s(setting.device)
            engine.render(segment, lambda: False)
            whole_s = now_s(setting.device) - started
        parts.append(VocoderPart(length_s, spent[_PART].seconds, spent[_PART].seconds / whole_s))
    engine.close()
    return parts

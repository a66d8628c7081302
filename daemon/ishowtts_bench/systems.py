"""The systems that are compared: upstream, upstream through torch.compile, and this engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from ishowtts import text as texts
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.device import multiplies_bf16
from ishowtts.engines.f5.kernels import KernelChoice
from ishowtts.engines.f5.reference import prepare
from ishowtts.engines.f5.upstream_model import compile_modules
from ishowtts.f5_switches import Switches
from ishowtts.model import Segment
from ishowtts.speech import segment_planner
from ishowtts.util.crossfade import FloatSamples, join
from ishowtts_bench.bench_env import BenchEnv, ReferenceClip, chosen_kernels, finish_idle_work
from ishowtts_bench.timers import synchronized_s
from ishowtts_bench.upstream_infer import UpstreamInfer, utils_infer

UPSTREAM, COMPILED, OURS, INT8 = "upstream", "torch.compile", "ours", "ours, int8"
DEFAULT_NFE = 32
"""Evaluations that upstream makes by default."""


@dataclass(frozen=True)
class System:
    """A system that speaks texts.

    Args:
        synthesize: Synthesizes a whole text.
        first_segment: Gives the part of a text that a listener waits for.
    """

    name: str
    synthesize: Callable[[str], FloatSamples]
    first_segment: Callable[[str], str]


@dataclass(frozen=True)
class OurSystem(System):
    """This engine.

    Args:
        at_speed: Synthesizes a whole text at a speed of speech; another speed gives another length.
        warm_s: Time of loading and warming up, without imports.
        kernels: The kernels that were chosen on this machine; `None` if upstream's modules run.
    """

    at_speed: Callable[[str, float], FloatSamples]
    warm_s: float
    kernels: KernelChoice | None


def upstream(env: BenchEnv, nfe_step: int) -> System:
    """Unchanged f5-tts: `chunk_text` and `infer_batch_process`. It has no sound before the whole text is finished."""
    infer = UpstreamInfer(env.folder, env.device)
    return _of_upstream(UPSTREAM, infer, env.reference_clip(), nfe_step)


def compiled(env: BenchEnv, nfe_step: int) -> System:
    """Upstream with torch.compile on model and vocoder, autocast, and a reference that is converted once.

    A system before this one ran the model like that.
    """
    infer = UpstreamInfer(env.folder, env.device, torch.float32)
    mode = "max-autotune" if env.device == "cuda" else None
    compile_modules(infer.cfm, infer.vocos, mode)
    half = torch.float16 if env.device == "cuda" else torch.bfloat16
    system = _of_upstream(COMPILED, infer, _at_rate(env.reference_clip()), nfe_step)
    enabled = env.device == "cuda" or multiplies_bf16()

    def synthesize(text: str) -> FloatSamples:
        with torch.autocast(env.device, half, enabled=enabled):
            return system.synthesize(text)

    return replace(system, synthesize=synthesize)


def ours(env: BenchEnv, nfe_step: int, switches: Switches, name: str = OURS) -> OurSystem:
    """This engine. It splits texts into segments as the daemon does, and its CUDA graphs are captured."""
    started = synchronized_s(env.device)
    engine = env.engine(switches, nfe_step=nfe_step)
    engine.warm(lambda _: None)
    warm_s = synchronized_s(env.device) - started
    finish_idle_work(engine)
    voice = engine.prepare(None)

    def at_speed(text: str, speed: float | None) -> FloatSamples:
        parts = texts.segments(text, voice.max_segment_bytes)
        segments = [Segment("bench", i, len(parts), part, seed=0, speed=speed) for i, part in enumerate(parts)]
        return join([engine.render(segment, lambda: False) for segment in segments], RATE_HZ)

    return OurSystem(
        title(name, nfe_step),
        lambda text: at_speed(text, None),
        lambda text: segment_planner.split(text, voice, voice.cost)[0],
        lambda text, speed: at_speed(text, speed * voice.speed),
        warm_s,
        chosen_kernels(engine),
    )


def title(name: str, nfe_step: int) -> str:
    """The name of a system in tables."""
    return f"{name}, NFE {nfe_step}"


def _of_upstream(name: str, infer: UpstreamInfer, clip: ReferenceClip, nfe_step: int) -> System:
    max_bytes = prepare("bench", clip.audio, clip.rate_hz, clip.text).max_segment_bytes

    def synthesize(text: str) -> FloatSamples:
        with _default_tf32():
            return infer.synthesize(clip, utils_infer().chunk_text(text, max_chars=max_bytes), nfe_step=nfe_step)

    return System(title(name, nfe_step), synthesize, lambda text: text)


@contextmanager
def _default_tf32() -> Iterator[None]:
    """Give upstream PyTorch's default: its convolutions in fp32 use TF32. Our engine turns that off for the process."""
    ours = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = ours


def _at_rate(clip: ReferenceClip) -> ReferenceClip:
    """Convert the clip to mono, 24 kHz and the loudness that upstream would give it."""
    return ReferenceClip(prepare("bench", clip.audio, clip.rate_hz, clip.text).audio, RATE_HZ, clip.text)

"""Fixtures: the tiny checkpoint, engines, and upstream to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ishowtts.engines.f5.engine import F5Engine, F5Options
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts_bench.bench_env import ReferenceClip
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.checkpoints import shared_checkpoint

VOICES = {"brief": "These are the words of a clip", "arabic": "هذه كلمات التسجيل", "hindi": "यह एक आवाज़ है"}


@pytest.fixture(scope="session")
def checkpoint(tiny_checkpoint: Path) -> Path:
    """A folder with a tiny random checkpoint. Tests do not write into it."""
    return tiny_checkpoint


@pytest.fixture(scope="session")
def upsampling_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights, described as a model that spreads the text over the frames. Tests do not write into it."""
    return shared_checkpoint(tmp_path_factory, average_upsampling=True)


@pytest.fixture(scope="session")
def silma_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random weights like SILMA's: `char` tokens of Arabic and English. Tests do not write into it."""
    return shared_checkpoint(tmp_path_factory, shape="silma")


@pytest.fixture(scope="session")
def hindi_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny random weights of the first version, with tokens of Devanagari. Tests do not write into it."""
    return shared_checkpoint(tmp_path_factory, shape="hindi")


@pytest.fixture(scope="session")
def short_voice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options for a default voice with a clip of 1.2 s. The clip is a part of every run, so short clips save time."""
    folder = tmp_path_factory.mktemp("voices")
    samples, rate_hz = soundfile.read(VoiceLibrary(None).find(None).audio_path, dtype="float32")
    for name, words in VOICES.items():
        (folder / name).mkdir()
        soundfile.write(folder / name / "reference.wav", samples[: int(1.2 * rate_hz)], rate_hz)
        (folder / name / "reference.txt").write_text(words)
    return {"voices_dir": str(folder), "default_voice": "brief"}


@pytest.fixture
def make_engine(checkpoint: Path) -> Iterator[Callable[..., F5Engine]]:
    """`make_engine(nfe_step=…)`: a loaded engine with the tiny checkpoint, fp32 on the CPU."""
    made: list[F5Engine] = []

    def make(**options: Any) -> F5Engine:
        settings = {"weights": str(checkpoint), "device": "cpu", "precision": "fp32", "nfe_step": 7} | options
        engine = F5Engine(F5Options.from_dict(settings))
        made.append(engine)
        engine.load(lambda _: None)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="session")
def upstream(checkpoint: Path) -> UpstreamInfer:
    """Upstream with the tiny checkpoint, fp32 on the CPU."""
    return UpstreamInfer(checkpoint, "cpu")


@pytest.fixture(scope="session")
def upstream_sound(upstream: UpstreamInfer) -> Callable[..., np.ndarray]:
    """`upstream_sound(audio, rate_hz, ref_text, text, seed, **settings)`: the wave of one chunk."""

    def speak(audio: torch.Tensor, rate_hz: int, ref_text: str, text: str, seed: int, **settings: Any) -> np.ndarray:
        settings = {"nfe_step": 7} | settings
        return upstream.synthesize(ReferenceClip(audio, rate_hz, ref_text), text, seed=seed, **settings)

    return speak

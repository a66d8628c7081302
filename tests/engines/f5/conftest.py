"""The tiny checkpoint, and upstream itself to compare with."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ishowtts.engines.f5 import random
from ishowtts.engines.f5.engine import F5Engine, F5Options
from ishowtts.engines.f5.upstream import CFM

# What upstream's inference module imports and never calls on the way that is compared, and the appliance leaves out.
_UNCALLED = {
    "pydub": ("AudioSegment", "silence"),
    "transformers": ("pipeline",),
    "matplotlib": ("use",),
    "matplotlib.pylab": (),
    "tqdm": ("tqdm",),
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint folder; nobody writes into it."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    random.make(folder, "tiny", seed=0)
    return folder


@pytest.fixture
def make_engine(checkpoint: Path) -> Iterator[Callable[..., F5Engine]]:
    """`make_engine(nfe_step=…)`: a loaded engine over the tiny checkpoint, fp32 on the CPU."""
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
def upstream() -> Iterator[Any]:
    """`f5_tts.infer.utils_infer`, with stand-ins for what it imports and never calls here."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, members in _UNCALLED.items():
            module = types.ModuleType(name)
            for member in members:
                setattr(module, member, lambda *_, **__: None)
            if name == "matplotlib":
                module.__path__ = []  # type: ignore[attr-defined]
            patch.setitem(sys.modules, name, module)
        patch.setattr(sys.modules["f5_tts.model"], "CFM", CFM, raising=False)
        patch.setattr(sys, "path", list(sys.path))  # it appends to it
        patch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
        module = importlib.import_module("f5_tts.infer.utils_infer")
        yield module
        sys.modules.pop("f5_tts.infer.utils_infer", None)


@pytest.fixture
def upstream_sound(upstream: Any) -> Callable[..., np.ndarray]:
    """`upstream_sound(engine, audio, rate_hz, ref_text, text, seed, **settings)`: the wave of one chunk."""

    def speak(  # noqa: PLR0917 - in upstream's order
        engine: F5Engine, audio: torch.Tensor, rate_hz: int, ref_text: str, text: str, seed: int, **settings: Any
    ) -> np.ndarray:
        torch.manual_seed(seed)
        settings = {"nfe_step": 7, "cfg_strength": 2.0, "speed": 1.0} | settings
        wave, _, _ = next(
            upstream.infer_batch_process(
                (audio, rate_hz), ref_text, [text], engine._cfm, engine._vocos, progress=None, device="cpu", **settings
            )
        )
        return np.asarray(wave)

    return speak

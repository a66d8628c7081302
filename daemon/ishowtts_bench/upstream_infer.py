"""Runs upstream through its own function, `infer_batch_process`, as the baseline of parity and speed."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts.engines.f5 import checkpoint
from ishowtts.engines.f5.architecture import HOP, RATE_HZ
from ishowtts.engines.f5.upstream_model import CFM, Vocos, load_cfm, load_vocos
from ishowtts.engines.weights import examine
from ishowtts_bench.bench_env import ReferenceClip

# Imports of upstream's inference module that the measured code never calls. An installation may lack them.
_UNCALLED = {
    "pydub": ("AudioSegment", "silence"),
    "transformers": ("pipeline",),
    "matplotlib": ("use",),
    "matplotlib.pylab": (),
    "tqdm": ("tqdm",),
}


class UpstreamInfer:
    """Upstream's modules and function, with the weights of a checkpoint folder.

    Args:
        dtype: Type of the whole model, with its rotary frequencies, as in upstream. `None` is upstream's default: fp16
            on CUDA and fp32 elsewhere.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype | None = None) -> None:
        loaded = checkpoint.load(examine(folder))
        self._tokenizer = loaded.model.tokenizer
        self.device = device
        self.dtype = dtype or (torch.float16 if device == "cuda" else torch.float32)
        self.cfm: CFM = load_cfm(loaded).to(self.dtype).to(device)
        self.vocos: Vocos = load_vocos(loaded).to(device)

    def synthesize(
        self, clip: ReferenceClip, text: str | list[str], *, nfe_step: int = 32, seed: int = 0, **options: Any
    ) -> NDArray[np.float32]:
        """Synthesize one chunk, or several with a crossfade, at 24 kHz. `options` go to upstream's function.

        Weights with `char` tokens take one chunk. Upstream's function then runs as SILMA's copy of it does: without
        pinyin, and with the time by characters.
        """
        torch.manual_seed(seed)
        by_characters = self._tokenizer == "char"
        if by_characters and isinstance(text, str):
            options["fix_duration"] = _length_s(clip, text, options.pop("speed", 1.0))
        with contextlib.redirect_stdout(io.StringIO()), _without_pinyin() if by_characters else nullcontext():
            wave, _, _ = next(
                utils_infer().infer_batch_process(
                    (clip.audio, clip.rate_hz),
                    clip.text,
                    [text] if isinstance(text, str) else text,
                    self.cfm,
                    self.vocos,
                    progress=None,
                    nfe_step=nfe_step,
                    device=self.device,
                    **options,
                )
            )
        sound: NDArray[np.float32] = np.asarray(wave, dtype=np.float32)
        return sound


def _length_s(clip: ReferenceClip, text: str, speed: float) -> float:
    """The length of reference and speech as in SILMA's program: the speech has its share by characters."""
    words = clip.text + " " * (clip.text[-1].isascii())
    frames = math.ceil(clip.audio.shape[-1] * RATE_HZ / clip.rate_hz) // HOP
    return (frames + int(frames / len(words) * len(text) / speed) + 0.5) * HOP / RATE_HZ


@contextlib.contextmanager
def _without_pinyin() -> Iterator[None]:
    with patch.object(utils_infer(), "convert_char_to_pinyin", lambda texts: texts):
        yield


@cache
def utils_infer() -> Any:
    """Import `f5_tts.infer.utils_infer`, with stubs for the imports that are not called here."""
    with _stubs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.modules["f5_tts.model"].CFM = CFM  # type: ignore[attr-defined]
        return importlib.import_module("f5_tts.infer.utils_infer")


@contextlib.contextmanager
def _stubs() -> Iterator[None]:
    missing = {name: members for name, members in _UNCALLED.items() if name not in sys.modules}
    path = list(sys.path)  # upstream's module appends to it
    for name, members in missing.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, lambda *_, **__: None)
        if name == "matplotlib":
            module.__path__ = []
        sys.modules[name] = module
    try:
        yield
    finally:
        sys.path[:] = path
        for name in missing:
            del sys.modules[name]

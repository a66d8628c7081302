"""Runs upstream through its own function, `infer_batch_process`, as the baseline of parity and speed."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
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
from ishowtts.engines.f5.upstream import stand_ins
from ishowtts.engines.f5.upstream_model import CFM, Vocos, load_cfm, load_vocos
from ishowtts.engines.weights import examine
from ishowtts_bench.bench_env import ReferenceClip

_NOT_CALLED = {
    "pydub": ("AudioSegment", "silence"),
    "transformers": ("pipeline",),
    "matplotlib": ("use",),
    "matplotlib.pylab": (),
    "tqdm": ("tqdm",),
}
"""Packages of upstream's inference module, and the names that it takes from each."""


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


class SameThread:
    """Replaces `ThreadPoolExecutor` in upstream's inference module: runs each call at once, in the calling thread.

    Upstream starts a thread for each chunk of a text. Autocast does not reach another thread, and CUDA graphs of
    torch.compile belong to the thread that compiled them.
    """

    def __enter__(self) -> SameThread:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: every call is finished."""

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        """Call the function. Its errors are raised here."""
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


@cache
def utils_infer() -> Any:
    """Import `f5_tts.infer.utils_infer`. Its `infer_batch_process` runs in the calling thread."""
    with stand_ins(_NOT_CALLED), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.modules["f5_tts.model"].CFM = CFM  # type: ignore[attr-defined]
        module = importlib.import_module("f5_tts.infer.utils_infer")
    module.ThreadPoolExecutor = SameThread  # type: ignore[attr-defined]
    return module

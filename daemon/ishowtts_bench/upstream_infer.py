"""Stock f5-tts by its own function, `infer_batch_process`: what parity and speed are measured against."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import types
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ishowtts.engines.f5 import checkpoint
from ishowtts.engines.f5.upstream_model import CFM, Vocos, load_cfm, load_vocos
from ishowtts.engines.weights import examine
from ishowtts_bench.bench_env import ReferenceClip

# What upstream's inference module imports, and never calls on the way that is measured; the appliance leaves it out.
_UNCALLED = {
    "pydub": ("AudioSegment", "silence"),
    "transformers": ("pipeline",),
    "matplotlib": ("use",),
    "matplotlib.pylab": (),
    "tqdm": ("tqdm",),
}


class UpstreamInfer:
    """Upstream's modules and upstream's function over a checkpoint folder.

    Args:
        dtype: `None`: as upstream's `load_checkpoint` has it, fp16 on CUDA and fp32 elsewhere. Half precision is
            `.to(dtype)` of the whole model, rotary frequencies included, as there.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype | None = None) -> None:
        loaded = checkpoint.load(examine(folder))
        self.device = device
        self.dtype = dtype or (torch.float16 if device == "cuda" else torch.float32)
        self.cfm: CFM = load_cfm(loaded).to(self.dtype).to(device)
        self.vocos: Vocos = load_vocos(loaded).to(device)

    def speak(
        self, clip: ReferenceClip, text: str | list[str], *, nfe_step: int = 32, seed: int = 0, **settings: Any
    ) -> NDArray[np.float32]:
        """A chunk's wave, or that of several cross-faded, [samples] at 24 kHz; `settings` go to upstream's function."""
        torch.manual_seed(seed)
        with contextlib.redirect_stdout(io.StringIO()):
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
                    **settings,
                )
            )
        sound: NDArray[np.float32] = np.asarray(wave, dtype=np.float32)
        return sound


@cache
def utils_infer() -> Any:
    """`f5_tts.infer.utils_infer`, with stand-ins for what it imports and never calls here."""
    with _stand_ins(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.modules["f5_tts.model"].CFM = CFM  # type: ignore[attr-defined]
        return importlib.import_module("f5_tts.infer.utils_infer")


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
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

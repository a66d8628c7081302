"""Imports upstream's modules without packages that they import and that nothing here calls.

Every module of the benches that needs upstream's modules imports them from here. An installation may lack the packages,
and importing them takes time: librosa alone 2 s of computing.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from typing import Any

Names = Mapping[str, tuple[str, ...]]
"""Packages, and the names that upstream's modules take from each."""

_OF_MODEL: Names = {"librosa": (), "librosa.filters": ("mel",)}  # for BigVGAN, another vocoder
_OF_INFERENCE: Names = {
    "pydub": ("AudioSegment", "silence"),
    "transformers": ("pipeline",),
    "matplotlib": ("use",),
    "matplotlib.pylab": (),
    "tqdm": ("tqdm",),
}


@contextmanager
def _stand_ins(names: Names) -> Iterator[None]:
    """Put empty modules in the place of the packages that are not imported yet.

    They are gone afterwards, because other code needs the real ones: the metrics call librosa.
    """
    missing = {name: members for name, members in names.items() if name not in sys.modules}
    path = list(sys.path)  # upstream's inference module appends to it
    for name, members in missing.items():
        module = types.ModuleType(name)
        module.__path__ = []
        for member in members:
            setattr(module, member, lambda *_, **__: None)
        sys.modules[name] = module
    try:
        yield
    finally:
        sys.path[:] = path
        for name in missing:
            del sys.modules[name]


with _stand_ins(_OF_MODEL):
    from ishowtts.engines.f5.upstream_model import (
        CFM,
        Vocos,
        build_cfm,
        build_vocos,
        compile_modules,
        load_cfm,
        load_vocos,
    )

__all__ = ["CFM", "Vocos", "build_cfm", "build_vocos", "compile_modules", "load_cfm", "load_vocos", "utils_infer"]


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
    with _stand_ins(_OF_INFERENCE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.modules["f5_tts.model"].CFM = CFM  # type: ignore[attr-defined]
        module = importlib.import_module("f5_tts.infer.utils_infer")
    module.ThreadPoolExecutor = SameThread  # type: ignore[attr-defined]
    return module

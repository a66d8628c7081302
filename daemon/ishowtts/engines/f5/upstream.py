"""Imports f5-tts without its trainer, and lets vocos be imported without encodec.

Every module that imports f5-tts or vocos imports this one first.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from pathlib import Path


def _replace_the_package() -> None:
    """Make the modules of `f5_tts.model` importable one by one.

    `f5_tts/model/__init__.py` imports the trainer, and with it wandb and accelerate. An empty module of that name
    with the right path makes Python find the submodules without running that file.
    """
    if "f5_tts.model" in sys.modules:
        return
    spec = importlib.util.find_spec("f5_tts")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("f5-tts is not installed")
    bare = types.ModuleType("f5_tts.model")
    bare.__path__ = [str(Path(spec.submodule_search_locations[0]) / "model")]
    sys.modules["f5_tts.model"] = bare


def _replace_encodec() -> None:
    """Make vocos importable without encodec, which is not installed: its licence excludes commercial use.

    vocos imports one name of it, for features that this Vocos does not have.
    """
    bare = types.ModuleType("encodec")
    bare.__dict__["EncodecModel"] = None
    sys.modules.setdefault("encodec", bare)


def replace_librosa() -> None:
    """Make `f5_tts.model.modules` importable without librosa, which is not installed.

    It imports one function, for spectrograms of BigVGAN, a vocoder that is not used here. librosa imports numba and
    scipy.signal, which take 1.3 s of CPU time.
    """
    if "librosa" in sys.modules:
        return
    package, filters = types.ModuleType("librosa"), types.ModuleType("librosa.filters")
    package.__path__ = []
    filters.__dict__["mel"] = None
    sys.modules.update({"librosa": package, "librosa.filters": filters})


_replace_the_package()
_replace_encodec()
with warnings.catch_warnings():
    # The warnings of these packages about their own dependencies do not help an operator.
    warnings.simplefilter("ignore")
    from f5_tts.model.utils import convert_char_to_pinyin

__all__ = ["convert_char_to_pinyin", "replace_librosa"]

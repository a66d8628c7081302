"""Imports f5-tts without its trainer, and lets vocos be imported without encodec.

Every module that imports f5-tts or vocos imports this one first.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def stand_ins(packages: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Put empty modules in the place of packages that are not imported yet. They are gone afterwards.

    Args:
        packages: packages that upstream's modules import and that nothing here calls, with the names that are taken
            from each.
    """
    missing = {name: members for name, members in packages.items() if name not in sys.modules}
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


LIBROSA: Mapping[str, tuple[str, ...]] = {"librosa": (), "librosa.filters": ("mel",)}
"""For BigVGAN, a vocoder that is not used here. librosa imports numba and scipy.signal: 1.3 s of CPU time."""


_replace_the_package()
_replace_encodec()
with warnings.catch_warnings():
    # The warnings of these packages about their own dependencies do not help an operator.
    warnings.simplefilter("ignore")
    from f5_tts.model.utils import convert_char_to_pinyin

__all__ = ["LIBROSA", "convert_char_to_pinyin", "stand_ins"]

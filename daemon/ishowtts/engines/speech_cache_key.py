"""Cache key of finished speech: everything that determines the sound, except the line itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ishowtts import __version__
from ishowtts.config import Config
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.voices.voice_library import VoiceLibrary
from ishowtts.engines.weights import Weights
from ishowtts.errors import EngineError, VoiceError
from ishowtts.util.files import file_version

log = logging.getLogger(__name__)

CacheKey = Callable[[str | None], Mapping[str, Any] | None]
"""Returns everything that determines the sound of a voice, as JSON; `None` if unknown: then nothing is cached."""

_VERSIONS = {"ishowtts": __version__}


class F5CacheKey:
    """Cache key of F5: weights, voice and settings. `device` and `precision` are as configured: `auto` stays `auto`.

    If the weights' files change while the daemon runs, there is no key: the worker may have loaded old or new ones.
    """

    def __init__(self, config: Config, weights: Weights, library: VoiceLibrary) -> None:
        f5 = config.engine.f5
        self._library = library
        self._default_voice = f5.default_voice
        self._files = [
            path
            for path in (weights.model, weights.vocab, weights.vocoder, weights.vocoder_config, weights.architecture)
            if path is not None
        ]
        self._weights = _versions_of(self._files)
        self._fixed: dict[str, Any] = {
            "engine": "f5",
            **_VERSIONS,
            "f5-tts": _version_of("f5-tts"),
            "weights": self._weights,
            "nfe_step": f5.nfe_step,
            "cfg_strength": f5.cfg_strength,
            "precision": f5.tensor_precision,
            "device": f5.device,
            **f5.switches.heard,
        }
        self._warned = False

    def __call__(self, voice: str | None) -> Mapping[str, Any] | None:
        """Returns the key of this voice (`None`: the default one); `None` if the voice cannot be used."""
        if self._weights is None or _versions_of(self._files) != self._weights:
            if not self._warned:
                self._warned = True
                log.warning("the weights have changed: speech is cached again after a restart of the daemon")
            return None
        try:
            found = self._library.find(voice, self._default_voice)
        except VoiceError:
            return None
        # An earlier version cached the sound with the gain; now the gain is applied when it is played.
        gain = {} if found.gain_db is None else {"gain": "not applied"}
        return {**self._fixed, "voice": found.name, "voice_files": f"{found.audio_path}: {found.version}", **gain}


class HibariCacheKey:
    """Cache key of hibari: its version and that of its runtime. It has one voice, whatever voice a line names."""

    def __init__(self) -> None:
        versions = {name: _version_of(name) for name in ("hibari-tts", "onnxruntime")}
        self._key = {"engine": "hibari", **_VERSIONS, **versions}

    def __call__(self, voice: str | None) -> Mapping[str, Any]:
        """Returns the key."""
        return self._key


class EspeakCacheKey:
    """Cache key of espeak-ng: its version and its voice. Callers add the language of the segment."""

    def __init__(self, engine: EspeakEngine) -> None:
        self._engine = engine
        self._version: str | None = None

    def __call__(self, voice: str | None) -> Mapping[str, Any] | None:
        """Returns the key, the same for every voice; `None` if the version of espeak-ng is unknown."""
        program = self._program
        if program is None:
            return None
        return {
            "engine": "espeak",
            **_VERSIONS,
            "program": program,
            "voice": self._engine.voice,
        }

    @property
    def _program(self) -> str | None:
        """Version line of espeak-ng. It is asked for again after espeak-ng did not work."""
        if self._version is None and self._engine.problem is None:
            try:
                self._version = self._engine.version()
            except EngineError as error:
                log.warning("speech is not cached: %s", error)
        return self._version


def _versions_of(files: list[Path]) -> list[str] | None:
    """Returns paths, sizes and times of the files. Reading gigabytes for a key would take too long."""
    try:
        return [f"{path} {file_version(path, with_ctime=False)}" for path in files]
    except OSError:
        return None


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

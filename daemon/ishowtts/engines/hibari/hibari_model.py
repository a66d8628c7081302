"""The model of hibari-tts: phonemes to sound. The only module, with `phonemizer`, that imports the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime
from hibari import dsp, voices
from hibari.g2p.oov import OOV
from numpy.typing import NDArray

from ishowtts.engines.hibari.phonemizer import Phonemizer, Phrase
from ishowtts.errors import Cancelled, EngineError
from ishowtts.model import IsCancelled

FloatSamples = NDArray[np.float32]

_ASSETS = Path(dsp.__file__).parent / "assets"
_SILENCE = 0.001  # -60 dBFS
_LEAD_S = 0.05  # the model begins each phrase with 0.3 s of silence, which the listener would wait for
_FADE_S = 0.005


class HibariModel:
    """The voice `heart` and its dictionaries, from the files of the package. One thread calls it."""

    def __init__(self) -> None:
        voices.download = _refuse_download
        self._session = _session(_ASSETS / "hibari.onnx")
        self._ids: dict[str, int] = json.loads((_ASSETS / "vocab.json").read_text("utf-8"))
        self._phonemizer = Phonemizer(OOV(str(_ASSETS / "oov.onnx"), _session(_ASSETS / "oov.onnx")))

    def sounds(self, text: str, speed: float, seed: int | None, cancelled: IsCancelled) -> Iterator[FloatSamples]:
        """Speaks a text: the sound of each phrase, [samples] in [-1, 1] at 24 kHz. Silent phrases are left out.

        Args:
            seed: seed of the noise; `None`: another one each time.

        Raises:
            SynthesisError: the text cannot be pronounced.
            Cancelled: `cancelled()` returned true.
        """
        rng = np.random.default_rng(seed)
        for phrase in self._phonemizer.phrases(text):
            if cancelled():
                raise Cancelled
            sound = _trimmed(self._speak(phrase, speed, rng), phrase.pause_s / speed)
            if len(sound) > 0:
                yield sound

    def _speak(self, phrase: Phrase, speed: float, rng: np.random.Generator) -> FloatSamples:
        ids = [0, *(self._ids[phoneme] for phoneme in phrase.phonemes if phoneme in self._ids), 0]
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        sound: FloatSamples = dsp.synth(*(output[0] for output in self._session.run(None, inputs)), rng)
        return sound


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest phrase: 40 MB more, no faster
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _trimmed(sound: FloatSamples, pause_s: float) -> FloatSamples:
    """Returns a sound with at most 0.05 s of silence before it and `pause_s` after it; empty if all of it is silent."""
    loud = np.flatnonzero(np.abs(sound) > _SILENCE)
    if len(loud) == 0:
        return sound[:0]
    start = max(0, loud[0] - round(_LEAD_S * dsp.SR))
    kept: FloatSamples = sound[start : loud[-1] + 1 + round(pause_s * dsp.SR)].copy()
    fade = np.linspace(0, 1, min(round(_FADE_S * dsp.SR), len(kept)), dtype=np.float32)
    kept[: len(fade)] *= fade
    kept[-len(fade) :] *= fade[::-1]
    return kept


def _refuse_download(url: str, dest: str, sha256: str) -> NoReturn:
    raise EngineError("hibari speaks as heart only; no other voice is downloaded")

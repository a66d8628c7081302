"""DNSMOS (P.835) predicts the opinion of listeners. Its network comes with the package speechmos (MIT).

It detects noise and distortion, but hardly naturalness: human speech scores about 3.3, espeak-ng 2.7, noise 1.1. Only
the file of the network is used; the package is not imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.mel_16k import RATE_HZ, non_silent
from ishowtts_bench.metrics.metric_packages import SPEECHMOS, need, read

_INPUT_SAMPLES = 144_160  # 9.01 s
_OVERALL_COLUMN = 2  # after speech and background
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""Polynomial from the output of the network to the scale of opinions; the highest power comes first."""


class Dnsmos:
    """The network."""

    def __init__(self, threads: int = 1) -> None:
        """Raises EngineError if a package is missing."""
        need(*SPEECHMOS)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Otherwise its waiting threads would spin and take the CPU from threads that work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        network = read("speechmos", "dnsmos_models/sig_bak_ovr.onnx")
        self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def overall(self, sound: FloatSamples, rate_hz: int) -> float:
        """The overall score of mono samples, from 1 to 5: the mean of all windows of 9 s, one for each whole second.

        A shorter sound is repeated. The network also scores speech and background, which nobody uses.

        Raises:
            EngineError: The sound is silent.
        """
        samples = non_silent(sound, rate_hz)
        samples = samples / max(1.0, float(np.abs(samples).max()))
        while len(samples) < _INPUT_SAMPLES:
            samples = np.concatenate([samples, samples])
        starts = range(0, len(samples) - _INPUT_SAMPLES + 1, RATE_HZ)
        windows = [samples[None, i : i + _INPUT_SAMPLES] for i in starts]
        raw = [self._session.run(None, {"input_1": window})[0][0][_OVERALL_COLUMN] for window in windows]
        return float(np.polyval(_OVERALL, raw).mean())

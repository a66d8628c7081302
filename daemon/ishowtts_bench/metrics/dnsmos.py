"""What listeners would say of the sound: DNSMOS (P.835), whose networks lie in the package speechmos (MIT).

It finds noise and breakage, and knows little of naturalness: human speech has about 3.3, espeak-ng 2.7, noise 1.1.
Nothing of the package is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ishowtts.util.crossfade import FloatSamples
from ishowtts_bench.metrics.mel_16k import RATE_HZ, at_16_khz
from ishowtts_bench.metrics.metric_packages import SPEECHMOS, need, read

_HEARD = 144_160  # samples at once, 9.01 s
# From what the network says to the scale of the listeners' opinions: highest power first.
_SPEECH = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Scores:
    """Mean opinions from 1 to 5: of the speech itself, of what is behind it, and of both."""

    speech: float
    background: float
    overall: float


class Dnsmos:
    """The network, on so many threads."""

    def __init__(self, threads: int = 1) -> None:
        """Raises EngineError where a package is missing."""
        need(*SPEECHMOS)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Else its threads spin while they wait, and take the processor from who works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        network = read("speechmos", "dnsmos_models/sig_bak_ovr.onnx")
        self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def of(self, sound: FloatSamples, rate_hz: int) -> float:
        """The overall opinion of [samples] of mono sound; EngineError where it is silent."""
        return self.scores(sound, rate_hz).overall

    def scores(self, sound: FloatSamples, rate_hz: int) -> Scores:
        """Each opinion, over every 9 s that begin at a whole second; a shorter sound is heard again and again.

        Raises:
            EngineError: it is silent.
        """
        heard = at_16_khz(sound, rate_hz)
        heard = heard / max(1.0, float(np.abs(heard).max()))
        while len(heard) < _HEARD:
            heard = np.concatenate([heard, heard])
        starts = range(0, len(heard) - _HEARD + 1, RATE_HZ)
        raw = np.array([self._session.run(None, {"input_1": heard[None, i : i + _HEARD]})[0][0] for i in starts])
        speech, background, overall = (
            float(np.polyval(curve, raw[:, i]).mean()) for i, curve in enumerate((_SPEECH, _BACKGROUND, _OVERALL))
        )
        return Scores(speech, background, overall)

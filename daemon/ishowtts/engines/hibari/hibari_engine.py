"""The hibari engine: a small English model with one voice, `heart`, on one thread of the CPU."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ishowtts.engines import EngineStats, Progress, ReportProgress, VoiceInfo
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.engines.hibari.hibari_package import VOICE, HibariOptions, missing_package
from ishowtts.errors import EngineError, EngineUnavailable, SynthesisError
from ishowtts.model import IsCancelled, Segment, Utterance
from ishowtts.util.samples import unit_to_int16

if TYPE_CHECKING:
    from ishowtts.engines.hibari.hibari_model import FloatSamples, HibariModel

__all__ = ["HibariEngine", "HibariOptions"]

RATE_HZ = 24_000
MAX_SEGMENT_BYTES = 400
_BYTES_PER_S = 15.0  # 14.1 for 150 short sentences, and 16 for a long one
_SPEED = (0.5, 2.0)
_GAIN = 1.4  # to -23 LUFS, as espeak-ng has; the highest peak of 150 sentences became 0.94
_WARM_TEXTS = ("Warm.", "This is how I sound when I am warm, says Zorblax.")  # the last word is in no dictionary


class HibariEngine:
    """Speaks English as `heart`, whatever voice a segment names. One thread makes, loads and calls the engine."""

    def __init__(self, options: HibariOptions) -> None:
        self._options = options
        self._model: HibariModel | None = None
        self._cost: float | None = None

    @property
    def name(self) -> str:
        """The name, `hibari`."""
        return "hibari"

    @property
    def rate_hz(self) -> int:
        """The sample rate, 24,000 Hz."""
        return RATE_HZ

    def load(self, progress: ReportProgress) -> None:
        """Reads the model and the dictionaries from the package.

        Raises:
            EngineError: the package is not installed, or its files cannot be read.
        """
        progress(Progress("load", 0, 1))
        if (missing := missing_package()) is not None:
            raise EngineError(missing)
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        os.environ["HIBARI_HOME"] = str(_empty_folder(self._options.cache_dir))
        with _unimportable("scipy", "scipy.fft"):
            from ishowtts.engines.hibari.hibari_model import HibariModel
        self._model = HibariModel()
        progress(Progress("load", 1, 1))

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Returns the info of `heart`, which speaks for every voice. There is nothing to prepare."""
        return VoiceInfo(VOICE, MAX_SEGMENT_BYTES, reference_s=0.0, bytes_per_s=_BYTES_PER_S, cost=self._cost)

    def warm(self, progress: ReportProgress) -> None:
        """Speaks test texts, so that all parts of the model are in memory and the cost is known."""
        for i, text in enumerate(_WARM_TEXTS):
            progress(Progress("warm", i, len(_WARM_TEXTS)))
            spoken = self.synthesize(Segment("", 0, 1, text), lambda: False)
            self._cost = spoken.synth_s / spoken.audio_s
        progress(Progress("warm", len(_WARM_TEXTS), len(_WARM_TEXTS)))

    def stats(self) -> EngineStats:
        """Returns empty stats: it uses no GPU and prepares no lengths."""
        return EngineStats()

    def idle(self) -> bool:
        """Gives freed memory back to the system: up to 100 MB after many lines, in 2 ms. Returns that this is all."""
        ctypes.CDLL(None).malloc_trim(0)
        return False

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Speaks one segment: int16 mono at 24 kHz.

        Raises:
            SynthesisError: the text is not English, or made no sound.
            EngineError: the model failed.
            Cancelled: `cancelled()` returned true. It is asked before every phrase.
        """
        started_s = time.monotonic()
        if self._model is None:
            raise EngineUnavailable("the hibari engine is not loaded")
        speed = min(max(segment.speed or 1.0, _SPEED[0]), _SPEED[1])
        longest_s = longest_plausible_s(segment.text, speed)
        sounds: list[FloatSamples] = []
        left = round(longest_s * RATE_HZ)
        for sound in self._model.sounds(segment.text, speed, segment.seed, cancelled):
            sounds.append(sound)
            left -= len(sound)
            if left < 0:
                raise SynthesisError(f"hibari made more than {longest_s:.0f} s of sound, which is not plausible")
        if not sounds:
            raise SynthesisError("hibari made no sound from this text")
        samples = unit_to_int16(np.concatenate(sounds) * _GAIN)
        return Utterance(samples, RATE_HZ, time.monotonic() - started_s, self.name, VOICE)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Speaks one segment after the other: one thread gains nothing from a batch. Raises as `synthesize` does."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """Releases the model. Idempotent."""
        self._model = None


def _empty_folder(cache_dir: str | None) -> Path:
    """Returns a folder for what the package would download, although it never does: it speaks as `heart` only."""
    nowhere = Path(os.devnull, "hibari")
    if cache_dir is None:
        return nowhere
    folder = Path(cache_dir, "hibari")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return nowhere
    return folder


@contextmanager
def _unimportable(*names: str) -> Iterator[None]:
    """Hides packages from imports. The package would import scipy's FFT: 0.6 s at each start, and no faster here.

    Without it the sound is also the same on all machines, whether they have scipy or not.
    """
    hidden: dict[str, Any] = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # `None` makes an import fail
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(hidden)

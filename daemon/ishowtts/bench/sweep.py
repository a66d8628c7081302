"""Evaluations against fidelity: how fast each NFE is, and how far its sound is from that of 32."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from ishowtts.bench.fidelity import deviation
from ishowtts.bench.setting import Setting, text_of
from ishowtts.engines.f5 import schedule
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.f5.engine import to_int16
from ishowtts.engines.f5.options import Optimisations
from ishowtts.errors import EngineError
from ishowtts.seams import Sound
from ishowtts.speech import Segment

STEPS = (5, 6, 7, 8, 10, 12, 16, 24, 32)
_FINEST = 32


@dataclass(frozen=True)
class Point:
    """One NFE.

    Args:
        steps: `EPSS` or `uniform`.
        deviation: of the sound from that of NFE 32 (`fidelity`).
    """

    nfe_step: int
    steps: str
    rtf: float
    deviation: float


def run(
    setting: Setting, length_s: float, steps: Sequence[int], folder: Path | None, report: Callable[[Point], None]
) -> list[Point]:
    """Speak one text at each NFE, the finest first; samples go to `folder` as WAV."""
    engine = setting.engine(Optimisations())
    segment = Segment("bench", 0, 1, text_of(length_s), seed=0)
    engine.render(segment, lambda: False)  # only warms
    points: list[Point] = []
    finest: Sound | None = None
    for nfe_step in sorted({*steps, _FINEST}, reverse=True):
        started = time.perf_counter()
        sound = engine.render(replace(segment, nfe_step=nfe_step), lambda: False)
        synth_s = time.perf_counter() - started
        finest = sound if finest is None else finest
        kind = "EPSS" if schedule.is_pruned(nfe_step) else "uniform"
        points.append(Point(nfe_step, kind, synth_s / (len(sound) / RATE_HZ), deviation(sound, finest)))
        report(points[-1])
        if folder is not None:
            _keep(folder / f"nfe-{nfe_step:02}.wav", sound)
    engine.close()
    return points[::-1]


def _keep(path: Path, sound: Sound) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, to_int16(sound), RATE_HZ)
    except (OSError, soundfile.SoundFileError) as error:
        raise EngineError(f"{path} cannot be written; name a folder where you may write, with room") from error

"""The daemon as one of many, for scripts/bench-scale. Its engine takes a given time, and its speaker notes each sound.

`python -m support.scale_daemon --config FILE --notes FILE [--cost-s SECONDS --sound-s SECONDS]`. With `--cost-s` its
engine takes so long for each segment, without computing, and answers with a hum. Without it the engines are those of
the configuration: a stage has its segments rendered by other appliances.

A note is an object on a line. `made` is the level of a segment that the engine has finished. `begun` is the level of a
hum that the speaker begins to play, and `ended` the same when it ends, with its duration in `sound_s`. A level of 0
stands for sound that is no hum, such as that of espeak-ng.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ishowtts import app, config
from ishowtts.config import Config
from ishowtts.engines import Progress, ReportProgress, VoiceInfo
from ishowtts.engines.build import EngineChoice, Engines
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.voices.voice_library import open_voice_library
from ishowtts.errors import Cancelled
from ishowtts.model import IsCancelled, Samples, Segment, Utterance
from ishowtts.playback.build_player import ChosenSpeaker
from ishowtts.playback.silent_speaker import SilentSpeaker
from ishowtts.util import logs
from support import payload_check
from support.quick_daemon import RATE_HZ, Notes, height

_POLL_S = 0.02
_SEGMENT_BYTES = 400
QUIETEST_HUM = 900
"""The hums of `height` are louder, and what is quieter counts as silence."""


class CostlyEngine:
    """Waits `cost_s` for each segment, and makes a hum of `sound_s` whose level is that of the text's number."""

    name = "costly"
    rate_hz = RATE_HZ

    def __init__(self, cost_s: float, sound_s: float, notes: Notes) -> None:
        self._cost_s = cost_s
        self._sound_s = sound_s
        self._notes = notes

    def load(self, progress: ReportProgress) -> None:
        """Has nothing to load."""
        progress(Progress("load", 1, 1))

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Returns the same limits for every voice."""
        return VoiceInfo(voice or "default", _SEGMENT_BYTES)

    def warm(self, progress: ReportProgress) -> None:
        """Has nothing to warm up."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Returns the hum after the time that it costs.

        Raises:
            Cancelled: nobody waits for it any more.
        """
        ends_s = time.monotonic() + self._cost_s
        while (left_s := ends_s - time.monotonic()) > 0:
            if cancelled():
                raise Cancelled
            time.sleep(min(left_s, _POLL_S))
        level = height(segment.text)
        self._notes.take(made=level)
        samples = np.full(round(self._sound_s * RATE_HZ), level, dtype=np.int16)
        return Utterance(samples, RATE_HZ, self._cost_s, self.name, segment.voice or "default")

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Returns one hum after the other, each after its own time."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """Has nothing to close."""


class HumSpeaker(SilentSpeaker):
    """Plays nothing in real time, and notes where each hum begins and ends."""

    name = "silent"  # no mixer is looked for

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes
        self._level: int | None = None
        self._samples = 0

    def write(self, block: Samples) -> None:
        """Notes a change of the level before the time of the block passes."""
        level = level_of(block)
        if level != self._level:
            self._end()
            self._level = level
            if level is not None:
                self._notes.take(begun=level)
        self._samples += len(block)
        super().write(block)

    def drain(self) -> None:
        """Waits until everything has been played."""
        self._end()
        super().drain()

    def drop(self) -> None:
        """Discards what was not heard."""
        self._end()
        super().drop()

    def _end(self) -> None:
        if self._level is not None:
            self._notes.take(ended=self._level, sound_s=round(self._samples / self._rate_hz, 3))
        self._level, self._samples = None, 0


def level_of(block: Samples) -> int | None:
    """Returns the level of a hum, 0 for other sound, `None` for silence. Blocks at the edge of a hum count as hum."""
    middle = np.abs(block[len(block) // 4 : -(len(block) // 4) or None].astype(np.int32))
    low, high = int(middle.min()), int(middle.max())
    if high < QUIETEST_HUM:
        return None
    return high if high - low <= 2 else 0  # rounding


def main() -> int:
    """Runs the daemon until SIGTERM, and returns its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--cost-s", type=float)
    parser.add_argument("--sound-s", type=float, default=3.0)
    arguments = parser.parse_args()
    notes = Notes(arguments.notes)

    def build_engines(settings: Config, _chosen: EngineChoice, _on_change: Callable[[], None]) -> Engines:
        engine = CostlyEngine(arguments.cost_s, arguments.sound_s, notes)
        return Engines(
            EngineChoice(engine.name, "it takes a given time", order=(engine.name,)),
            [EngineCandidate(engine, engine.name)],
            espeak=EspeakEngine("en-us"),
            voice_library=open_voice_library(settings),
            default_voice=settings.engine.f5.default_voice,
        )

    settings = config.load(arguments.config)
    logs.set_up(settings.log.level, private=settings.log.private)
    factories = app.Factories() if arguments.cost_s is None else app.Factories(build_engines)
    factories = replace(factories, speaker=lambda _: ChosenSpeaker(HumSpeaker(notes), "it notes hums"))
    return app.run(settings, factories, arguments.config)


if __name__ == "__main__":
    payload_check.install()
    sys.exit(main())

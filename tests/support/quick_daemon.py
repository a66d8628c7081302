"""The daemon in its own process, with an engine that makes tones at once and a speaker that notes what it plays.

`python -m support.quick_daemon --config FILE --notes FILE [--sound-s SECONDS]`: all else is what `ishowtts run` starts.
With `--aloud` it plays on `audio.device` as that does, and only what the engine does is noted. With
`--engine-as-configured` the engines are those of the configuration, and only what the speaker does is noted.
With `--heard` it plays on the ALSA device `audio.device`, and `support.heard_notes` notes what is heard.

A note is an object on a line, written at once, with `at` (CLOCK_MONOTONIC) and `pid`: `spoke` is a text given to the
engine, `cancelled` one that it did not finish, `wrote` the first and last sample of a block that goes to the device,
`peak` its loudest; `dropped`: it forgets.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from support import heard_notes, payload_check

RATE_HZ = 24_000
TONE_HZ = 200
TONE_HEIGHT = 12_000
_LONG_S = 60.0
_LETTERS = "bcdfghjklm"
_CODE = re.compile(rf"\bq([{_LETTERS}]+)\b")


class Notes:
    """Lines of JSON in one file, each written by one call: they outlive a SIGKILL, and no two mix."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def take(self, **note: Any) -> None:
        """Write one note."""
        note = {"at": time.monotonic(), "pid": os.getpid(), **note}
        os.write(self._descriptor, (json.dumps(note, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def read_notes(path: Path) -> list[dict[str, Any]]:
    """All notes so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class QuickEngine:
    """A hum of `sound_s` for any text, at once; of a minute for one that holds the word `endless`.

    A number in code (see `code`) is the height of its text's hum, so that the device's side can be told whose it is.
    A text that holds the word `tone` is a sine of `TONE_HZ` instead, which begins anew with each segment.

    Args:
        card: of every voice; it says how long the segments are, and their seams.
        cost_s: seconds that a segment takes. A cancelled one ends at once.
    """

    name = "quick"
    rate_hz = RATE_HZ

    def __init__(self, sound_s: float, notes: Notes, card: VoiceInfo, cost_s: float = 0.0) -> None:
        self._sound_s = sound_s
        self._cost_s = cost_s
        self._notes = notes
        self._card = card

    def load(self, progress: ReportProgress) -> None:
        """Nothing."""
        progress(Progress("load", 1, 1))

    def prepare(self, voice: str | None) -> VoiceInfo:
        """Every voice is this one."""
        return self._card

    def warm(self, progress: ReportProgress) -> None:
        """Nothing."""

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """The hum, or the tone."""
        self._notes.take(spoke=segment.text)
        ends_s = time.monotonic() + self._cost_s
        while (left_s := ends_s - time.monotonic()) > 0:
            if cancelled():
                self._notes.take(cancelled=segment.text)
                raise Cancelled
            time.sleep(min(left_s, 0.01))
        count = round((_LONG_S if "endless" in segment.text else self._sound_s) * RATE_HZ)
        samples = tone(count) if "tone" in segment.text else np.full(count, height(segment.text), dtype=np.int16)
        return Utterance(samples, RATE_HZ, 0.0, self.name, "quick")

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """One behind the other."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def close(self) -> None:
        """Nothing."""


def code(number: int) -> str:
    """A number as a word that is read aloud as it stands: figures would be put into words."""
    return "q" + "".join(_LETTERS[int(digit)] for digit in str(number))


def height(text: str) -> int:
    """The level of a text's hum, 1000 to 30999: far enough from silence, told apart by the text's number in code."""
    found = _CODE.search(text)
    return 1000 + (int("".join(str(_LETTERS.index(letter)) for letter in found[1])) if found else 0) % 30_000


def tone(count: int) -> Samples:
    """So many samples of the sine."""
    phase = 2 * np.pi * TONE_HZ / RATE_HZ * np.arange(count)
    sine: Samples = np.rint(TONE_HEIGHT * np.sin(phase)).astype(np.int16)
    return sine


class NotingSpeaker(SilentSpeaker):
    """Paced silence that writes down what came, and when."""

    name = "noting"

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self._notes = notes

    def write(self, block: Samples) -> None:
        """Note it before its time passes."""
        self._notes.take(wrote=[int(block[0]), int(block[-1])], peak=int(np.abs(block).max()))
        super().write(block)

    def drop(self) -> None:
        """What was not heard yet will not be."""
        self._notes.take(dropped=True)
        super().drop()


def main() -> int:
    """What `ishowtts run` does, with these two parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--notes", type=Path, required=True)
    parser.add_argument("--sound-s", type=float, default=0.02)
    parser.add_argument("--segment-bytes", type=int, default=4000)
    parser.add_argument("--seam-s", type=float, default=0.0)
    parser.add_argument("--cost-s", type=float, default=0.0)
    parser.add_argument("--aloud", action="store_true")
    parser.add_argument("--engine-as-configured", action="store_true")
    parser.add_argument("--heard", action="store_true")
    arguments = parser.parse_args()
    notes = Notes(arguments.notes)

    def build_engines(settings: Config, _chosen: EngineChoice, _on_change: Callable[[], None]) -> Engines:
        card = VoiceInfo("quick", arguments.segment_bytes, seam_s=arguments.seam_s)
        engine = QuickEngine(arguments.sound_s, notes, card, arguments.cost_s)
        return Engines(
            EngineChoice("quick", "it costs nothing", order=("quick",)),
            [EngineCandidate(engine, "quick")],
            espeak=EspeakEngine("en-us"),
            voice_library=open_voice_library(settings),
            default_voice=settings.engine.f5.default_voice,
        )

    settings = config.load(arguments.config)
    logs.set_up(settings.log.level, private=settings.log.private)
    factories = app.Factories() if arguments.engine_as_configured else app.Factories(build_engines)
    if arguments.heard:
        factories = heard_notes.install(notes.take, factories)
    elif not arguments.aloud:
        factories = replace(factories, speaker=lambda _: ChosenSpeaker(NotingSpeaker(notes), "it takes notes"))
    return app.run(settings, factories, arguments.config)


if __name__ == "__main__":
    payload_check.install()
    sys.exit(main())

"""`ishowtts voices test`: hear a voice, without the daemon."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ishowtts import text
from ishowtts.cli.argument_types import new_file
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.config import Config
from ishowtts.engines import Progress, build
from ishowtts.engines.voices.shelf import open_shelf
from ishowtts.engines.worker.remote_engine import RemoteEngine
from ishowtts.errors import EngineError, SynthesisError
from ishowtts.model import Line, Samples, Segment
from ishowtts.speech import FallbackSynthesizer
from ishowtts.util.crossfade import join

_TEXT = "This is how I sound when I read a line that nobody has written for me."


@dataclass(frozen=True)
class VoiceTrial:
    """The sound of one line."""

    samples: Samples
    rate_hz: int
    synth_s: float
    nfe_step: int | None

    @property
    def audio_s(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / self.rate_hz


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "test", parents=[common], help="speak one line into a file with the configured engine, without the daemon"
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("text", metavar="TEXT", nargs="?", default=_TEXT)
    parser.add_argument("--wav", type=new_file, required=True, metavar="FILE", help="where the sound goes")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """0 once the sound is in the file."""
    settings = read_config(arguments)
    open_shelf(settings).find(arguments.name)
    with _cache_of_ones_own(settings) as settings:
        take = _speak(settings, arguments.name, arguments.text)
    try:
        soundfile.write(arguments.wav, take.samples, take.rate_hz, format="WAV")
    except (OSError, soundfile.SoundFileError) as error:
        raise EngineError(f"{arguments.wav} cannot be written; name a file where you may write") from error
    if arguments.json:
        print_json(
            {
                "voice": arguments.name,
                "wav": str(arguments.wav),
                "audio_s": round(take.audio_s, 3),
                "synth_s": round(take.synth_s, 3),
                "rtf": round(take.synth_s / take.audio_s, 4),
                "nfe_step": take.nfe_step,
            }
        )
    else:
        rtf = take.synth_s / take.audio_s
        print(f"{arguments.wav}: {take.audio_s:.2f} s of speech in {take.synth_s:.2f} s, RTF {rtf:.3f}")
    return 0


@contextmanager
def _cache_of_ones_own(settings: Config) -> Iterator[Config]:
    """Root gets an empty cache where the configured one is the service's: what was compiled there would run as root."""
    cache_dir = settings.cache_dir
    if os.geteuid() != 0 or not cache_dir.exists() or cache_dir.stat().st_uid == 0:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="ishowtts-") as own:
        yield settings.model_copy(update={"cache_dir": Path(own)})


def _speak(settings: Config, voice: str, line: str) -> VoiceTrial:
    """One line through a worker of its own, loaded and warmed as the daemon's is.

    Raises:
        EngineError: no F5 here, or it cannot speak in this voice.
        SynthesisError: there is nothing to speak in the line.
    """
    chosen = build.choose_engine(settings)
    cleaned = text.clean(line)
    if len(cleaned) > settings.limits.max_chars:
        raise SynthesisError(f"the text is longer than limits.max_chars, {settings.limits.max_chars}; give less of it")
    if not text.is_speakable(cleaned):
        raise SynthesisError("there is nothing to speak in this text; give it a word")
    company = build.build_engines(settings, chosen, lambda: None)
    if company.remote is None:
        raise EngineError(f"only F5 speaks in a voice of yours, and it does not lead here: {chosen.why}")
    try:
        company.remote.load(_show)
        return _take(company.remote, voice, cleaned)
    finally:
        company.close()


def _take(engine: RemoteEngine, voice: str, line: str) -> VoiceTrial:
    part = FallbackSynthesizer(
        engine, None, streaming=False
    ).part()  # cut as for a line of the daemon; nobody waits for the first
    parts = part.cut(Line("test", line, voice), line)
    segments = [Segment("test", i, len(parts), said, voice) for i, said in enumerate(parts)]
    spoken = [part.speak(segment, lambda: False) for segment in segments]
    sound = join([utterance.samples.astype(np.float32) for utterance in spoken], spoken[0].rate_hz)
    synth_s = sum(utterance.synth_s for utterance in spoken)
    return VoiceTrial(np.rint(sound).astype(np.int16), spoken[0].rate_hz, synth_s, spoken[0].nfe_step)


def _show(progress: Progress) -> None:
    if sys.stderr.isatty():
        print(f"{progress.phase} {progress.i} of {progress.n}", file=sys.stderr)

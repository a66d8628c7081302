"""`ishowtts voices test`: speaks one line in a voice, without the daemon."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from ishowtts import text
from ishowtts.cli.argument_types import output_file
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.config import Config
from ishowtts.engines import Progress, build
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.engines.voices.voice_library import VoiceLibrary, open_voice_library
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import EngineError, SynthesisError, VoiceError
from ishowtts.model import Line, Samples, Utterance
from ishowtts.speech import FallbackSynthesizer
from ishowtts.speech.line_synthesis import PlannedSegment
from ishowtts.util.crossfade import join
from ishowtts.util.samples import to_int16

_TEXT = "This is how I sound when I read a line that nobody has written for me."


@dataclass(frozen=True)
class VoiceTrial:
    """The speech of one line."""

    samples: Samples
    rate_hz: int
    synth_s: float
    nfe_step: int | None

    @property
    def audio_s(self) -> float:
        """Length of the speech, in seconds."""
        return len(self.samples) / self.rate_hz

    @property
    def rtf(self) -> float:
        """Real-time factor: the time of the synthesis as a part of the length of the speech."""
        return self.synth_s / self.audio_s


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "test", parents=[common], help="speak one line into a file with the configured engine, without the daemon"
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("text", metavar="TEXT", nargs="?", default=_TEXT)
    parser.add_argument("--wav", type=output_file, required=True, metavar="FILE", help="file for the sound")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once the sound is in the file."""
    settings = read_config(arguments)
    library = open_voice_library(settings)
    _refuse_foreign_clip(settings, library, arguments.name)
    gain = np.float32(library.find(arguments.name).gain)
    with _private_cache(settings) as settings:
        trial = _speak(settings, arguments.name, arguments.text)
    try:
        soundfile.write(arguments.wav, to_int16(trial.samples * gain), trial.rate_hz, format="WAV")
    except (OSError, soundfile.SoundFileError) as error:
        raise EngineError(f"{arguments.wav} cannot be written; name a file where you may write") from error
    if arguments.json:
        print_json(
            {
                "voice": arguments.name,
                "wav": str(arguments.wav),
                "audio_s": round(trial.audio_s, 3),
                "synth_s": round(trial.synth_s, 3),
                "rtf": round(trial.rtf, 4),
                "nfe_step": trial.nfe_step,
            }
        )
    else:
        print(f"{arguments.wav}: {trial.audio_s:.2f} s of speech in {trial.synth_s:.2f} s, RTF {trial.rtf:.3f}")
    return 0


def _refuse_foreign_clip(settings: Config, library: VoiceLibrary, name: str) -> None:
    """Refuse a clip that the user of the service may change: root decodes nothing that others can write."""
    if os.geteuid() == 0 and library.is_uploaded(name) and (owner := settings.state_dir.stat().st_uid) != 0:
        user = next((each.pw_name for each in pwd.getpwall() if each.pw_uid == owner), f"#{owner}")
        raise VoiceError(f"{name} came over MQTT: try it as {user}, with `sudo -u '{user}' ishowtts voices test …`")


@contextmanager
def _private_cache(settings: Config) -> Iterator[Config]:
    """Give root an empty cache if the configured one belongs to the service: code compiled there would run as root."""
    cache_dir = settings.cache_dir
    if os.geteuid() != 0 or not cache_dir.exists() or cache_dir.stat().st_uid == 0:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="ishowtts-") as own:
        yield settings.model_copy(update={"cache_dir": Path(own)})


def _speak(settings: Config, voice: str, line: str) -> VoiceTrial:
    """Speak one line with a worker of its own, loaded and warmed as that of the daemon.

    Raises:
        EngineError: there is no F5, or it cannot speak in this voice.
        SynthesisError: the line contains nothing that can be spoken.
    """
    chosen = build.choose_engine(settings)
    cleaned = text.clean(line)
    if len(cleaned) > settings.limits.max_chars:
        raise SynthesisError(f"the text is longer than limits.max_chars, {settings.limits.max_chars}; shorten it")
    if not text.is_speakable(cleaned):
        raise SynthesisError("this text contains nothing that can be spoken; add a word")
    engines = build.build_engines(settings, replace(chosen, order=("f5",)), lambda: None)
    if (f5 := engines.f5) is None:
        raise EngineError(
            f"only F5 speaks in cloned voices, and it is not the engine here: {chosen.problem or chosen.why}"
        )
    try:
        f5.load(_show_progress)
        return _synthesize(f5, voice, cleaned)
    finally:
        engines.close()


def _synthesize(engine: WorkerEngine, voice: str, line: str) -> VoiceTrial:
    # Split as for a line of the daemon; nobody waits for the first segment.
    candidate = EngineCandidate(engine, "f5", clones=True, mixes_languages=True)
    synthesis = FallbackSynthesizer(lambda: [candidate], streaming=False).begin_line()
    coming: Sequence[PlannedSegment] = synthesis.plan(Line("test", line, voice), line)
    spoken: list[Utterance] = []
    while coming:
        run = synthesis.synthesize_next(coming, 0.0, lambda: False)
        spoken += run.utterances
        coming = run.coming[len(run.utterances) :]
    sound = join([utterance.samples.astype(np.float32) for utterance in spoken], spoken[0].rate_hz)
    synth_s = sum(utterance.synth_s for utterance in spoken)
    return VoiceTrial(np.rint(sound).astype(np.int16), spoken[0].rate_hz, synth_s, spoken[0].nfe_step)


def _show_progress(progress: Progress) -> None:
    if sys.stderr.isatty():
        print(f"{progress.phase} {progress.i} of {progress.n}", file=sys.stderr)

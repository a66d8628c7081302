"""`ishowtts voices add`: makes a voice from a recording and its transcript."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ishowtts.cli import engine_findings
from ishowtts.cli.argument_types import existing_file
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.cli.voices import transcribing
from ishowtts.config import Config
from ishowtts.engines.engine_choice import choose_engine
from ishowtts.engines.voices import clips, folders, transcript, transcription
from ishowtts.engines.voices import settings as voice_settings
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.engines.voices.settings import VoiceSettings
from ishowtts.engines.voices.transcript import WordsMismatchError
from ishowtts.engines.voices.transcription import Transcription
from ishowtts.engines.voices.voice_library import MOST_TEXT_BYTES, check_name, voices_folder
from ishowtts.errors import VoiceError
from ishowtts.text.scripts import base_language
from ishowtts.util.files import read_bounded
from ishowtts.util.logs import visible


@dataclass(frozen=True)
class _AddedVoice:
    """A stored voice.

    Attributes:
        engine_note: who speaks in its place, if F5 cannot.
        heard: what Whisper wrote down; `None` if the words were given.
    """

    folder: Path
    clip: VoiceClip
    words: str
    warnings: list[str]
    engine_note: str | None
    heard: Transcription | None


_SETTINGS = ("speed", "nfe_step", "gain_db", "language")


def add(actions: Commands, common: argparse.ArgumentParser) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "add", parents=[common], help="make a voice from a recording; it is checked and cleaned up"
    )
    parser.add_argument("name", metavar="NAME", help="name of the voice in lines: a-z, 0-9, _ and -")
    parser.add_argument(
        "clip",
        type=Path,
        metavar="CLIP",
        help="2 to 12 s of speech in WAV, FLAC, OGG or MP3; with ffmpeg or PyAV also M4A, WebM, 3GP, AAC or AMR",
    )
    words = parser.add_mutually_exclusive_group()
    words.add_argument(
        "--text", help="transcript of the clip, word by word; default: Whisper writes it down, if it is installed"
    )
    words.add_argument("--text-file", type=existing_file, metavar="FILE", help="UTF-8 file with the transcript")
    parser.add_argument("--speed", type=float, help="speed of its speech, 0.5 to 2.0")
    parser.add_argument("--nfe-step", type=int, help="evaluations of the model, 4 to 64: more is slower and finer")
    parser.add_argument(
        "--gain-db", type=float, help="gain of its sound after loudness normalisation, in dB, -24 to 12"
    )
    parser.add_argument(
        "--language",
        help="language tag such as en or de, for lines in this voice that name none; Whisper listens for it too",
    )
    parser.add_argument("--replace", action="store_true", help="replace an existing voice of this name")
    parser.add_argument(
        "--force", action="store_true", help="accept a transcript that does not fit the length of the clip"
    )
    parser.add_argument("--yes", action="store_true", help="accept the words that Whisper heard, without a question")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 once the voice is stored."""
    check_name(arguments.name)
    given = {key: value for key in _SETTINGS if (value := getattr(arguments, key)) is not None}
    settings = voice_settings.check(given, "the command line")
    given_words = _given_words(arguments)
    configured = read_config(arguments)
    voices_dir = voices_folder(configured)
    if given_words is None:
        # Before the work: these need no words.
        if problem := transcription.missing_package():
            raise VoiceError(problem)
        folders.check_free(voices_dir, arguments.name, replace=arguments.replace)
    with _without_library_messages():
        clip = clips.make_clip(arguments.clip)
    heard = transcribing.transcribe(arguments, clip) if given_words is None else None
    if heard is not None:
        settings = _with_language(settings, heard, configured)
        given_words = transcribing.confirmed_words(
            arguments, heard, lambda words: _problem(words, settings, clip, force=arguments.force)
        )
    words, warnings = _checked(given_words or "", settings, clip, force=arguments.force)
    folder = folders.add(voices_dir, arguments.name, clip, words, settings, replace=arguments.replace)
    warnings += clip.warnings()
    _report(arguments, _AddedVoice(folder, clip, words, warnings, engine_note(configured), heard))
    return 0


def _given_words(arguments: argparse.Namespace) -> str | None:
    words: str | None = arguments.text
    return _read(arguments.text_file) if words is None and arguments.text_file is not None else words


def _checked(written: str, settings: VoiceSettings, clip: VoiceClip, *, force: bool) -> tuple[str, list[str]]:
    """Return the words as the model should read them, and a warning for each change.

    Raises:
        VoiceError: There are none, or they do not fit the length of the clip.
    """
    try:
        return transcript.checked_words(written, settings.language, clip, force=force)
    except WordsMismatchError as error:
        raise VoiceError(f"{error}; --force accepts it") from error


def _problem(words: str, settings: VoiceSettings, clip: VoiceClip, *, force: bool) -> str | None:
    """Return why these words are refused; `None` if they are not."""
    try:
        _checked(words, settings, clip, force=force)
    except VoiceError as error:
        return str(error)
    return None


def _with_language(settings: VoiceSettings, heard: Transcription, configured: Config) -> VoiceSettings:
    """Store the language that was heard, unless it is uncertain or what the appliance speaks anyway."""
    uncertain = heard.language_share is None or heard.doubts
    if uncertain or heard.language == base_language(configured.engine.espeak_voice):
        return settings
    return settings.model_copy(update={"language": heard.language})


@contextmanager
def _without_library_messages() -> Iterator[None]:
    """Keep what C libraries write to the terminal away: libmpg123 has three lines for a file that is no MP3."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def engine_note(settings: Config) -> str | None:
    """Return a sentence if F5, which alone speaks in cloned voices, does not lead here."""
    chosen = choose_engine(settings)
    if chosen.kind == "remote":
        return "other boards speak here, in their own voices: `ishowtts doctor` lists those, and voices are added there"
    if chosen.kind == "f5" and chosen.weights is not None:
        return None
    others = engine_findings.in_its_place([kind for kind in chosen.order if kind != "f5"])
    if settings.engine.kind in ("hibari", "espeak"):
        return f"engine.kind is {settings.engine.kind}, and only F5 speaks in cloned voices: {others}"
    problem = chosen.f5_problem if settings.engine.f5.weights is not None else chosen.upstream_problem
    if problem:
        return f"{problem}; until then {others}"
    return f"no weights: until `sudo ishowtts fetch`, {others}"


def _read(path: Path) -> str:
    try:
        return read_bounded(path, MOST_TEXT_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise VoiceError(f"{path} cannot be read ({error.strerror}); name a text file with --text-file") from error
    except UnicodeDecodeError as error:
        raise VoiceError(f"{path} is not UTF-8; save it as UTF-8") from error


def _report(arguments: argparse.Namespace, added: _AddedVoice) -> None:
    clip = added.clip
    ratio = clips.cost_ratio(clip.length_s)
    if arguments.json:
        measures = {
            "name": arguments.name,
            "folder": str(added.folder),
            "length_s": round(clip.length_s, 3),
            "recorded_s": round(clip.recorded_s, 3),
            "trimmed_s": round(clip.trimmed_s, 3),
            "pauses_s": round(clip.pauses_s, 3),
            "clipped_share": round(clip.clipped_share, 6),
            "snr_db": None if clip.snr_db is None else round(clip.snr_db, 1),
            "cost_ratio": round(ratio, 3),
            "text": added.words,
            "transcription": None if added.heard is None else transcribing.as_json(added.heard),
            "warnings": added.warnings,
            "engine_note": added.engine_note,
        }
        print_json(measures)
        return
    for warning in added.warnings:
        print(f"note: {warning}", file=sys.stderr)
    print(f"{arguments.name} is in {added.folder}: {clip.length_s:.1f} s of {clip.recorded_s:.1f} s{_changes(clip)}")
    if added.heard is not None:
        print(visible(f"words: {added.words}"))
    noise = "the noise cannot be measured" if clip.snr_db is None else f"speech is {clip.snr_db:.0f} dB above the noise"
    print(f"{noise}; {clip.clipped_share:.2%} of the samples are clipped")
    print(cost(clip.length_s))
    print("a running daemon loads it within seconds; `ishowtts voices test` lets you hear it")
    if added.engine_note:
        print(f"note: {added.engine_note}", file=sys.stderr)


def _changes(clip: VoiceClip) -> str:
    done = []
    if clip.trimmed_s >= 0.01:
        done.append(f"{clip.trimmed_s:.1f} s of silence removed at the ends")
    if clip.pauses_s >= 0.01:
        done.append(f"{clip.pauses_s:.1f} s removed from long pauses")
    if clip.channels > 1:
        done.append(f"{clip.channels} channels mixed to one")
    if clip.rate_hz != clips.RATE_HZ:
        done.append(f"{clip.rate_hz} Hz resampled to {clips.RATE_HZ}")
    return ", " + ", ".join(done) if done else ""


def cost(length_s: float) -> str:
    """Describe what a clip of this length costs in synthesis time."""
    ratio = clips.cost_ratio(length_s)
    more = f"{ratio:.2f} times as much work as with a clip of 3 s"
    advice = "; a shorter clip is faster" if ratio > 1.05 else ""
    return f"every segment processes these {length_s:.1f} s again: 5 s of speech are {more}{advice}"

"""`ishowtts read`: shows what would be spoken of a text, and what each policy and each step of the reading did."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ishowtts.cli.common import Commands, compact_json, language_tag, print_json, read_config, voice_set_over_mqtt
from ishowtts.config import Config
from ishowtts.engines.espeak import MAX_SEGMENT_BYTES
from ishowtts.engines.voices.voice_library import VoiceLibrary, language_lookup, open_voice_library
from ishowtts.errors import LineError, VoiceError
from ishowtts.model import Line, Reason, Rejection
from ishowtts.policies import Policies
from ishowtts.text import is_speakable, segments
from ishowtts.text.reader import TextReader
from ishowtts.util.logs import visible


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("read", parents=[common])
    parser.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="words, with or without quotes; - or nothing reads lines from standard input, with one result for each",
    )
    parser.add_argument("--author", metavar="NAME", help="author of the line, for policies.template and author_voices")
    parser.add_argument(
        "--voice",
        metavar="VOICE",
        help="voice that would speak it (default: that of the daemon)",
    )
    parser.add_argument(
        "--language",
        type=language_tag,
        metavar="TAG",
        help="language that the line names, as in de or pt-BR (default: that of the voice, or what the text shows)",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show each step, as always in a terminal (on standard error)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON; one line for each line of standard input")
    parser.set_defaults(command=run)


@dataclass(frozen=True)
class Step:
    """What one policy or one step of the reading made of a text."""

    step: str
    before: str
    after: str


@dataclass(frozen=True)
class LanguagePart:
    """A part of a text in one language: a base language, such as `en`."""

    language: str
    text: str


@dataclass(frozen=True)
class Reading:
    """What becomes of one text.

    Attributes:
        voice: The voice that would speak it; `None`: the configured one, if none was set over MQTT.
        steps: What changed it, in order.
        read: The text that an engine would be given; `None` if the line is rejected.
        done: The words of the policies that changed it, as in the event `accepted`.
        language: The language that the line names; `None`: that of the voice, unless the text shows another.
        languages: The parts of `read`, in order, each with its language.
        segments: `read`, split as for espeak-ng. F5 takes as much at once as the clip of its voice allows.
        rejected: Why it is rejected: `reason` and `detail`.
    """

    text: str
    author: str | None
    voice: str | None
    steps: list[Step]
    language: str | None = None
    read: str | None = None
    done: tuple[str, ...] = ()
    languages: list[LanguagePart] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    rejected: dict[str, str] | None = None


class LineReader:
    """Does with a text what the daemon does with that of a line, except for the rate limits.

    Args:
        set_voice: The default voice that was set over MQTT; `None`: it is the configured one.
    """

    def __init__(self, policies: Policies, reader: TextReader, set_voice: str | None = None) -> None:
        self._policies = policies
        self._reader = reader
        self._set_voice = set_voice

    @property
    def fault(self) -> str | None:
        """What is wrong with the files of blocked words and pronunciations, in a sentence; `None` if nothing is."""
        return "; ".join(fault for fault in (self._policies.fault, self._reader.fault) if fault) or None

    def read(self, text: str, author: str | None, voice: str | None, language: str | None = None) -> Reading:
        """Apply the policies, then put the text into words."""
        line = Line("", text, voice, author=author, language=language)
        admitted, policy_steps = self._policies.explain(line)
        steps = [Step(step.policy, step.before, step.after) for step in policy_steps]
        if isinstance(admitted, Rejection):
            rejected = {"reason": admitted.reason.value, "detail": admitted.detail}
            return Reading(text, author, voice, steps, language, rejected=rejected)
        spoken, voice = admitted.text, admitted.voice or self._set_voice
        for step in self._reader.explain(spoken, voice, language):
            if step.text != spoken:
                steps.append(Step(step.step, spoken, step.text))
            spoken = step.text
        if not is_speakable(spoken):
            detail = "text.pronunciations leaves nothing that can be spoken"
            rejected = {"reason": Reason.EMPTY.value, "detail": detail}
            return Reading(text, author, voice, steps, language, rejected=rejected)
        runs = self._reader.runs(spoken, voice, language)
        languages = [LanguagePart(run.language, spoken[run.start : run.end].strip()) for run in runs]
        parts = segments(spoken, MAX_SEGMENT_BYTES)
        return Reading(text, author, voice, steps, language, spoken, admitted.done, languages, parts)


def run(arguments: argparse.Namespace) -> int:
    """Return 0; 1 if a text is rejected, or if a file that the configuration names has a fault."""
    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # a fault is printed below, once
    from_stdin = arguments.text in ([], ["-"])
    if from_stdin and not arguments.text and sys.stdin.isatty():
        raise LineError("there is no text to read; give it after `read`, or give - to type lines")
    reader = _line_reader(arguments)
    verbose = arguments.verbose or (sys.stdout.isatty() and not from_stdin)
    all_spoken = True
    for text in _stdin_lines() if from_stdin else [" ".join(arguments.text)]:
        reading = reader.read(text, arguments.author, arguments.voice, arguments.language)
        all_spoken = all_spoken and reading.rejected is None
        if arguments.json:
            _print_reading(reading, reader.fault, one_line=from_stdin)
            continue
        if verbose:
            _print_steps(reading)
        print(_outcome(reading), flush=True)
    if reader.fault:
        print(f"ishowtts: {visible(reader.fault)}", file=sys.stderr)
    return 0 if all_spoken and not reader.fault else 1


def _line_reader(arguments: argparse.Namespace) -> LineReader:
    settings = read_config(arguments)
    library, default = open_voice_library(settings), settings.engine.f5.default_voice
    set_voice = None
    if arguments.voice is not None:
        library.find(arguments.voice, default)
    else:
        set_voice = _voice_set_over_mqtt(settings, library)
    f5, reading = settings.engine.f5, settings.text
    return LineReader(
        Policies(settings.policies, settings.limits, f5.nfe_step, voices=library.names),
        TextReader(
            reading.pronunciations,
            language_lookup(settings, library),
            reading.normalise,
            default_voice=default,
            decimal=reading.decimal,
        ),
        set_voice,
    )


def _voice_set_over_mqtt(settings: Config, library: VoiceLibrary) -> str | None:
    """The default voice that was set over MQTT; `None` if none was, or if the daemon cannot use it either."""
    try:
        name = voice_set_over_mqtt(settings)
    except PermissionError:
        sentence = "this user may not see whether another default voice was set over MQTT; run this with sudo"
        print(f"ishowtts: {sentence}", file=sys.stderr)
        return None
    if name is None or name == settings.engine.f5.default_voice:
        return None
    try:
        library.find(name)
    except VoiceError as error:
        print(f"ishowtts: the default voice that was set over MQTT is not used: {visible(str(error))}", file=sys.stderr)
        return None
    return name


def _stdin_lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\r\n")


def _outcome(reading: Reading) -> str:
    if reading.rejected is not None:
        return visible(f"rejected: {reading.rejected['reason']}: {reading.rejected['detail']}")
    return reading.read or ""  # it is clean: of invisible characters it has only those that join letters


def _print_steps(reading: Reading) -> None:
    """Print what was sent, the text after each step that changed it, and its languages unless all of it is English."""
    rows = [("sent", reading.text), *((step.step, step.after) for step in reading.steps)]
    if reading.language is not None or any(part.language != "en" for part in reading.languages):
        rows += [(f"in {part.language}", part.text) for part in reading.languages]
    if len(reading.segments) > 1:
        count = len(reading.segments)
        rows += [(f"segment {i} of {count}", part) for i, part in enumerate(reading.segments, 1)]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {visible(text)}".rstrip(), file=sys.stderr)


def _print_reading(reading: Reading, fault: str | None, *, one_line: bool) -> None:
    data: dict[str, Any] = {**asdict(reading), "fault": fault}
    if one_line:
        print(compact_json(data), flush=True)
    else:
        print_json(data)

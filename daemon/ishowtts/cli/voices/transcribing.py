"""Gets the words of a clip for `ishowtts voices add` without --text.

Whisper writes them down, and a person checks them.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable

from ishowtts.cli.common import print_json
from ishowtts.engines.voices import transcription
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.engines.voices.transcription import Transcription
from ishowtts.errors import VoiceError
from ishowtts.util.logs import visible

_QUESTION = "Is this what is said, word by word? [y]es, [e]dit or [n]o: "


def transcribe(arguments: argparse.Namespace, clip: VoiceClip) -> Transcription:
    """Write down the words of a clip. Raises VoiceError."""
    if not arguments.json:
        print(f"Whisper listens to {arguments.clip}; this takes some seconds", file=sys.stderr)
    return transcription.transcribe(clip, arguments.language)


def confirmed_words(
    arguments: argparse.Namespace, heard: Transcription, problem_of: Callable[[str], str | None]
) -> str:
    """Return the words as a person accepted or edited them; with --yes, as they were heard.

    Args:
        arguments: the parsed command line.
        heard: what Whisper wrote down.
        problem_of: returns why words cannot be those of the clip; `None` if they can.

    Raises:
        VoiceError: They were refused, nobody can be asked, or with --yes, Whisper is not certain of them.
    """
    if arguments.yes:
        if heard.doubts and not arguments.force:
            raise VoiceError(
                f"{heard.doubts[0]}: {heard.words!r}; give the right words with --text, or accept these with --force"
            )
        return heard.words
    if arguments.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _print_heard(arguments, heard)
        raise VoiceError(
            "the voice is not added yet, because nobody has checked these words: compare them with the clip; then add "
            f"--yes, or write them as they are said: {_command(arguments, heard)}"
        )
    return _asked(heard, problem_of)


def _print_heard(arguments: argparse.Namespace, heard: Transcription) -> None:
    if arguments.json:
        print_json({"name": arguments.name, "folder": None, "transcription": as_json(heard)})
        return
    print(visible(heard.words))
    for doubt in heard.doubts:
        print(f"note: {doubt}", file=sys.stderr)


def as_json(heard: Transcription) -> dict[str, object]:
    """The fields of a transcription, for --json."""
    return {
        "words": heard.words,
        "language": heard.language,
        "language_share": heard.language_share,
        "confidence": heard.confidence,
        "doubts": heard.doubts,
    }


def _command(arguments: argparse.Namespace, heard: Transcription) -> str:
    words = ["ishowtts", "voices", "add", arguments.name, str(arguments.clip), "--text", heard.words]
    return shlex.join(words)


def _asked(heard: Transcription, problem_of: Callable[[str], str | None]) -> str:
    """Ask on the terminal until the words are accepted or refused."""
    words = heard.words
    print(f"language: {heard.language}" + ("" if heard.language_share is None else ", as Whisper heard"))
    for doubt in heard.doubts:
        print(f"note: {doubt}")
    while True:
        print(visible(f"words: {words}"))
        problem = problem_of(words)
        if problem is not None:
            print(visible(f"note: {problem}"))
        try:
            answer = input(_QUESTION).strip().lower()
            if answer in ("e", "edit"):
                words = _edited(words)
        except EOFError:
            print()
            answer = "no"
        if answer in ("n", "no"):
            raise VoiceError("the words were refused, and no voice was added; give the words with --text")
        if answer in ("y", "yes"):
            if problem is None:
                return words
            print("edit the words, or answer no and start again with --force")


def _edited(words: str) -> str:
    """Let the person edit the words on the terminal. Nothing typed leaves them as they are."""
    try:
        import readline
    except ImportError:  # a Python without it: the words have to be typed again
        return input("words: ").strip() or words
    readline.set_startup_hook(lambda: readline.insert_text(words))
    try:
        return input("words: ").strip() or words
    finally:
        readline.set_startup_hook(None)

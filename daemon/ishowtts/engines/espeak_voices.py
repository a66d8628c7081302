"""Voices of espeak-ng: whether it has a voice, and which of its voices is nearest to a name."""

from __future__ import annotations

import re

from ishowtts.model import IsCancelled
from ishowtts.text.scripts import base_language
from ishowtts.util import program

DEFAULT_VOICE = "en-us"
"""Every installation of espeak-ng has this voice."""

PROGRAM = "espeak-ng"
TEST_WORD = "ready"
_LIMITS = program.ProgramLimits(deadline_s=2.0, max_output_bytes=1 << 18)
_OTHER_LANGUAGE = re.compile(r"\(([a-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}) [0-9]{1,3}\)")  # as in (zh-cmn 5)(zh 5)
_ROW = re.compile(r" *[0-9]+ +([^ ]{1,40}) +[^ ]+ +([^ ]{1,80}) ")


def never() -> bool:
    """For a run that nobody cancels."""
    return False


def voice_language(voice: str) -> str:
    """Returns the language of a voice of espeak-ng, as its name shows it: `pt-br` of `pt-br+f3`, `de` of `mb-de4`."""
    tag = re.match(r"(?:mb-)?([a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3})(?=[0-9+]|$)", voice.lower())
    return tag[1] if tag else DEFAULT_VOICE


def missing_voice(voice: str) -> str | None:
    """Returns a sentence with the fix if espeak-ng works and has no such voice, else `None`.

    No sound is made, and numpy is not loaded: this takes about 10 ms.
    """
    fault = _fault(voice)
    if fault is None or _fault(DEFAULT_VOICE) is not None:
        return None
    return unknown_voice(voice, fault, nearest_voice(voice, never))


def unknown_voice(voice: str, fault: str, nearest: str) -> str:
    """Returns the sentence about a voice that espeak-ng does not have.

    Args:
        voice: its name.
        fault: what espeak-ng said.
        nearest: the voice that speaks in its place.
    """
    return (
        f"espeak-ng has no voice {voice!r} ({fault}) and speaks with {nearest!r}; "
        f"set engine.espeak_voice to {nearest} or to another language of `espeak-ng --voices`"
    )


def spoken_languages(voice: str, cancelled: IsCancelled) -> frozenset[str] | None:
    """Returns the base languages of all voices of espeak-ng, and that of `voice`; `None` if they are not known.

    Raises:
        Cancelled: `cancelled()` turned true.
    """
    rows = [(match[1], line) for line in _table(cancelled) if (match := _ROW.match(line))]
    tags = {tag for language, line in rows for tag in (language, *_OTHER_LANGUAGE.findall(line))}
    return frozenset(map(base_language, {*tags, voice_language(voice)})) if tags else None


def nearest_voice(wanted: str, cancelled: IsCancelled) -> str:
    """Returns the voice of espeak-ng whose language or name is most like a name; the default voice if none is.

    Raises:
        Cancelled: `cancelled()` turned true.
    """
    rows = [match.groups() for line in _table(cancelled) if (match := _ROW.match(line))]
    return _nearest(_plain(wanted.partition("+")[0]), [(_plain(name), language) for language, name in rows])


def _table(cancelled: IsCancelled) -> list[str]:
    """Returns the lines of the table of voices; none if the program does not work."""
    try:
        table = program.run([PROGRAM, "--voices"], b"", _LIMITS, cancelled)
    except (program.ProgramMissing, program.ProgramFailed):
        return []
    return table.decode("utf-8", "replace").splitlines()


def _nearest(wanted: str, rows: list[tuple[str, str]]) -> str:
    """Compares the whole name first, and then without its last part, and so on: `pt-xx` is nearest to `pt`."""
    while wanted:
        if exact := [language for _, language in rows if wanted == _plain(language)]:
            return exact[0]
        alike = [language for name, language in rows if name == wanted or name.startswith(f"{wanted}-")]
        alike += [language for _, language in rows if _plain(language).startswith(f"{wanted}-")]
        if alike:
            return DEFAULT_VOICE if DEFAULT_VOICE in alike else min(alike, key=len)
        wanted = wanted.rpartition("-")[0]
    return DEFAULT_VOICE


def _plain(name: str) -> str:
    return re.sub(r"[_()-]+", "-", name).strip("-").lower()


def _fault(voice: str) -> str | None:
    """Returns why espeak-ng cannot load a voice; `None` if it can."""
    try:
        program.run([PROGRAM, "-q", "-v", voice, "--stdin"], TEST_WORD.encode(), _LIMITS, never)
    except (program.ProgramMissing, program.ProgramFailed) as error:
        return f"{PROGRAM} {error}" if isinstance(error, program.ProgramFailed) else str(error)
    return None

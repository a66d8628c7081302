"""Puts the words of a clip into the form in which lines are spoken, and compares them with the clip.

That form has sentence case, and figures as words.
"""

from __future__ import annotations

import unicodedata

from ishowtts import text
from ishowtts.engines.voices import clips, folders
from ishowtts.engines.voices.clips import VoiceClip
from ishowtts.errors import VoiceError
from ishowtts.text.capitals import lower_capitals
from ishowtts.text.reader import TextReader
from ishowtts.text.scripts import base_language

_SIGNS = "%&@+=#"


class WordsMismatchError(VoiceError):
    """The words do not fit the length of the clip."""


def spoken_words(words: str, language: str | None) -> tuple[str, list[str]]:
    """Returns the words as the model should read them, and a note for each change.

    The model spells capitals, and takes its pace from the bytes of the words for each second of the clip: figures,
    which are few bytes for many syllables, would stretch everything that it says.

    Args:
        words: the words as the operator wrote them, cleaned.
        language: language of the clip; `None` means English.
    """
    notes = []
    lowered = lower_capitals(words, english=base_language(language or "en") == "en")
    if lowered != words:
        notes.append(f"the words are in capitals, which the model would spell; stored as: {lowered}")
    if not any(needs_reading(char) for char in lowered):
        return lowered, notes
    spoken = text.clean(TextReader(None, lambda _: None).read(lowered, None, language or "en"))
    if spoken != lowered:
        notes.append(f"figures and signs are put into words, as in lines; stored as: {spoken}")
    return spoken, notes


def checked_words(written: str, language: str | None, clip: VoiceClip, *, force: bool = False) -> tuple[str, list[str]]:
    """Returns the words as the model should read them, and a note for each change.

    Args:
        written: the words as somebody wrote them.
        language: language of the clip; `None` means English.
        clip: the clip in which they are spoken.
        force: accept words that do not fit the length of the clip, with a note.

    Raises:
        VoiceError: there are none, or too many.
        WordsMismatchError: they do not fit the length of the clip.
    """
    words, notes = spoken_words(folders.check_words(written), language)
    if (mismatch := clips.compare(words, clip.length_s)) is None:
        return words, notes
    if not force:
        raise WordsMismatchError(mismatch)
    return words, [*notes, mismatch]


def needs_reading(char: str) -> bool:
    """Returns whether a character is a figure or a sign, which is read as words."""
    return char in _SIGNS or unicodedata.category(char) in ("Nd", "No", "Nl", "Sc")

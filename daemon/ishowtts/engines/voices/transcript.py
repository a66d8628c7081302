"""Puts the words of a clip into the form in which lines are spoken: sentence case, and figures as words."""

from __future__ import annotations

import re
import unicodedata

from ishowtts import text
from ishowtts.text import TextReader

_LEAST_CAPITALS = 4
_SENTENCE_START = re.compile(r"(?:^|[.!?…] )[^\w]{0,3}\w")
_ALONE = re.compile(r"\bi\b")
_SIGNS = "%&@+=#"


def spoken_words(words: str, language: str | None) -> tuple[str, list[str]]:
    """Returns the words as the model should read them, and a note for each change.

    The model spells capitals, and takes its pace from the bytes of the words for each second of the clip: figures,
    which are few bytes for many syllables, would stretch everything that it says.

    Args:
        words: the words as the operator wrote them, cleaned.
        language: language of the clip; `None` means English.
    """
    notes = []
    lowered = sentence_case(words) if _is_all_capitals(words) else words
    if lowered != words:
        notes.append(f"the words are in capitals, which the model would spell; stored as: {lowered}")
    if not any(_needs_reading(char) for char in lowered):
        return lowered, notes
    spoken = text.clean(TextReader(None, lambda _: language).read(lowered, None))
    if spoken != lowered:
        notes.append(f"figures and signs are put into words, as in lines; stored as: {spoken}")
    return spoken, notes


def sentence_case(words: str) -> str:
    """Returns the words in small letters, with a capital at the start of each sentence and in `I`."""
    small = _ALONE.sub("I", words.lower())
    return _SENTENCE_START.sub(lambda start: start[0][:-1] + start[0][-1].upper(), small)


def _is_all_capitals(words: str) -> bool:
    capitals = sum(char.isupper() for char in words)
    return capitals >= _LEAST_CAPITALS and not any(char.islower() for char in words)


def _needs_reading(char: str) -> bool:
    return char in _SIGNS or unicodedata.category(char) in ("Nd", "No", "Nl", "Sc")

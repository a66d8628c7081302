"""Cleans text for speech: one way of writing each letter, and nothing that an engine takes for a command."""

from __future__ import annotations

import re
import unicodedata

from ishowtts.text.styled_letters import compose_and_fold

JOINERS = "\u200c\u200d"
"""Invisible characters that are part of letters of several scripts and of emoji."""

_FOLDED = {0xFFE0: "¢", 0xFFE1: "£", 0xFFE5: "¥", 0xFFE6: "₩", 0x2212: "-", 0x2010: "-", 0x2011: "-"}
# Fillers and variation selectors. They are invisible, though Unicode counts some of them as letters.
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\ufffd"
_FOLDED |= dict.fromkeys((*map(ord, _FILLERS), *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)), "")
_FOLDED |= dict.fromkeys(range(0xE0100, 0xE01F0), "")
_DROPPED = ("Cc", "Cf", "Co", "Cs")  # controls, formats such as text direction, private use, halves of surrogate pairs
_MAX_MARKS = 4  # on one letter; no script needs more, and more of them only cost time
_EXTRA_JOINERS = re.compile(f"(?<=[{JOINERS}])[{JOINERS}]+")
_WIDE_COLON = re.compile(r"(?<=[0-9])：(?=[0-9])")
_PHONEMES = re.compile(r"\[(?=\[)")  # espeak-ng reads [[…]] as phonemes


def clean(text: str) -> str:
    """Returns the text as it is meant to be read. Cleaning the result again does not change it.

    Folds full-width and styled letters, digits and symbols, and composes the text to NFC. Limits combining marks in a
    row to four. Removes control, format, private-use and filler characters, and variation selectors. Replaces white
    space by single blanks, and `[[`, which opens espeak's phonemes, by `[ [`.
    """
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    folded = paired.translate(_FOLDED)
    kept = "".join(c for c in folded if c.isspace() or c in JOINERS or unicodedata.category(c) not in _DROPPED)
    composed = compose_and_fold(_EXTRA_JOINERS.sub("", kept))
    cleaned = _PHONEMES.sub("[ ", _WIDE_COLON.sub(":", _limit_marks(composed)))
    return " ".join(cleaned.split())


def is_speakable(text: str) -> bool:
    """Whether the text has at least one letter or digit."""
    return any(c.isalnum() for c in text)


def _limit_marks(text: str) -> str:
    """Keep at most `_MAX_MARKS` combining marks in a row."""
    if text.isascii():
        return text
    kept, row = [], 0
    for character in text:
        row = row + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if row <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)

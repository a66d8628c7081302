"""Text made fit for speech: one way of writing each letter, and nothing that a voice could take for a command."""

from __future__ import annotations

import re
import unicodedata

JOINERS = "\u200c\u200d"
"""Invisible, yet part of letters of several scripts and of emoji."""

# Letters, digits and signs as Chinese input methods make them. Their full-width sentence marks stay: they are Chinese.
_WIDE_MARKS = "，：；！？（）～"
_FOLDED = {ord(c): unicodedata.normalize("NFKC", c) for c in map(chr, range(0xFF01, 0xFF5F)) if c not in _WIDE_MARKS}
_FOLDED |= {0xFFE0: "¢", 0xFFE1: "£", 0xFFE5: "¥", 0xFFE6: "₩", 0x2212: "-", 0x2010: "-", 0x2011: "-"}
# Letters drawn in other styles (𝐛𝐨𝐥𝐝), ligatures (ﬁ), and low figures (H₂O).
_STYLED = (*range(0x1D400, 0x1D800), *range(0xFB00, 0xFB07), *range(0x2080, 0x208A))
_FOLDED |= {i: unicodedata.normalize("NFKC", chr(i)) for i in _STYLED}
# Fillers and selectors that show nothing, though Unicode counts some among the letters.
_UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\ufffd"
_FOLDED |= dict.fromkeys((*map(ord, _UNSEEN), *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)), "")
_FOLDED |= dict.fromkeys(range(0xE0100, 0xE01F0), "")
_DROPPED = ("Cc", "Cf", "Co", "Cs")  # controls, formats such as those that turn the direction, private use, halves
_MOST_MARKS = 4  # on one letter; no script needs more, and piled ones only cost time
_EXTRA_JOINERS = re.compile(f"(?<=[{JOINERS}])[{JOINERS}]+")
_WIDE_COLON = re.compile(r"(?<=[0-9])：(?=[0-9])")
_PHONEMES = re.compile(r"\[(?=\[)")  # espeak-ng takes what stands in [[…]] for phonemes


def clean(text: str) -> str:
    """Text as it is meant to be read.

    In NFC, full-width letters, digits and signs folded, without control, private and invisible characters, white space
    folded to single blanks, `[[` parted. The result cleans to itself.
    """
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    folded = joined.translate(_FOLDED)
    kept = "".join(c for c in folded if c.isspace() or c in JOINERS or unicodedata.category(c) not in _DROPPED)
    composed = unicodedata.normalize("NFC", _EXTRA_JOINERS.sub("", kept))
    parted = _PHONEMES.sub("[ ", _WIDE_COLON.sub(":", _thin_marks(composed)))
    return " ".join(parted.split())


def is_speakable(text: str) -> bool:
    """Whether there is at least one letter or digit."""
    return any(c.isalnum() for c in text)


def _thin_marks(text: str) -> str:
    """At most `_MOST_MARKS` marks in a row."""
    if text.isascii():
        return text
    kept, row = [], 0
    for character in text:
        row = row + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if row <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)

"""Text whose parts are replaced, with the blanks that a listener needs and no others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

TextEdit = tuple[int, int, str]
"""From, to, and what stands there instead; nothing: the part is dropped."""

# What a reader does not see: controls, directions, zero-width characters, fillers that count as letters, halves of
# surrogate pairs, variation selectors but the one that makes an emoji. Joiners and the tags of flags stay.
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0100-\U000e01ef"
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_EMPTY_BRACKETS = re.compile(r"\( ?\)|\[ ?\]")
_LONE_BLANK = re.compile(r" (?=[,.!?;:…]+(?: |$))|(?<=[(\[]) | (?=[)\]])")


def visible(text: str) -> str:
    """What a reader sees of a text: NFC, without invisible characters, white space folded to single blanks."""
    return _folded(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))


def spliced(text: str, cuts: Iterable[TextEdit]) -> str:
    """The text with every cut made; they stand in order and do not overlap. No cut: the text as it is."""
    parts: list[str] = []
    end = 0
    for start, stop, word in cuts:
        parts += [text[end:start], f" {word} " if _tight(text, start, stop) or not word else word]
        end = stop
    if not parts:
        return text
    joined = _EMPTY_BRACKETS.sub(" ", _folded("".join([*parts, text[end:]])))
    return _folded(_LONE_BLANK.sub("", _folded(joined)))


def _folded(text: str) -> str:
    return " ".join(text.split())


def _tight(text: str, start: int, stop: int) -> bool:
    """Whether a word put here would touch something other than a blank or a punctuation mark."""
    around = text[max(0, start - 1) : start] + text[stop : stop + 1]
    return any(unicodedata.category(char)[0] in "LMNS" for char in around)

"""Edits of a text: replaces parts of it, drops what nobody sees, and truncates it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from ishowtts.text import MIN_SEGMENT_BYTES, compose_and_fold, segments

# Invisible characters: controls, directions, zero-width characters, fillers that count as letters, halves of
# surrogate pairs, and variation selectors except the one that makes an emoji. Joiners and the tags of flags stay.
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0100-\U000e01ef"
)
COMBINING_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""For a character class: accents that are put on the character before them."""
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_EMPTY_BRACKETS = re.compile(r"\( ?\)|\[ ?\]")
_UNNEEDED_BLANK = re.compile(r" (?=[,.!?;:…]+(?: |$))|(?<=[(\[]) | (?=[)\]])")

_LOOKAHEAD_CHARS = 200
# The rest after a truncated text is long. This stands for it: for a short rest `segments` would choose another end.
_LONG_REST = " and the rest of the line"


class TextEdit(NamedTuple):
    """Replaces a part of a text. An empty `replacement` drops the part."""

    start: int
    end: int
    replacement: str


def visible_text(text: str) -> str:
    """What a reader sees of a text: NFC, without invisible characters, white space folded to single blanks.

    Styled letters are folded as for speech, so that the policies check what is spoken.
    """
    return fold_blanks(compose_and_fold(_INVISIBLE.sub("", text)))


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Apply edits, with the blanks that a listener needs and no others.

    Args:
        edits: in order of their place; they do not overlap. Without an edit the text is returned unchanged.
    """
    parts: list[str] = []
    end = 0
    for edit in edits:
        needs_blanks = not edit.replacement or _touches_word(text, edit)
        parts += [text[end : edit.start], f" {edit.replacement} " if needs_blanks else edit.replacement]
        end = edit.end
    if not parts:
        return text
    joined = _EMPTY_BRACKETS.sub(" ", fold_blanks("".join([*parts, text[end:]])))
    return fold_blanks(_UNNEEDED_BLANK.sub("", fold_blanks(joined)))


def truncate(text: str, max_chars: int) -> str:
    """The head of a cleaned text, at most `max_chars` characters, that ends where a listener does not mind.

    It ends at the last end of a sentence, else of a clause, that leaves a third of `max_chars`; else between words.
    """
    if len(text) <= max_chars:
        return text
    limit_bytes = len(text[:max_chars].encode())
    if limit_bytes < MIN_SEGMENT_BYTES:
        head, blank, _ = text[: max_chars + 1].rpartition(" ")
        return head if blank else text[:max_chars]
    parts = segments(text[: max_chars + _LOOKAHEAD_CHARS] + _LONG_REST, limit_bytes)
    return parts[0][:max_chars].strip() if parts else ""


def fold_blanks(text: str) -> str:
    """The text with single blanks in place of all white space, and none at its ends."""
    return " ".join(text.split())


def _touches_word(text: str, edit: TextEdit) -> bool:
    """Whether the replacement would touch something other than a blank or a punctuation mark."""
    around = text[max(0, edit.start - 1) : edit.start] + text[edit.end : edit.end + 1]
    return any(unicodedata.category(char)[0] in "LMNS" for char in around)

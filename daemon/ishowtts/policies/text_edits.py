"""Edits of a text: replaces parts of it, finds links, shortens repeats, truncates it, cleans the name of an author."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from ishowtts.limits import WEB_START
from ishowtts.text import MIN_SEGMENT_BYTES, compose_and_fold, is_speakable, segments

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

# Top-level domains that make any host a link. Any other one needs a slash after it: `look.at` may miss a blank.
_TOP_LEVEL = "com|net|org|edu|gov|io|tv|gg|dev|info|biz|xyz|eu|de|fr|uk|nl|pl|ch|ru|cn|jp|kr|br"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\."
_PATH = r"[!-~]*[0-9a-z/=&#_~%+$-]"
_LINK = re.compile(
    rf"(?<![a-z0-9])(?:{WEB_START}|ftp://){_PATH}"
    rf"|(?<![a-z0-9_@.-])(?:{_LABEL})+"
    rf"(?:[a-z]{{2,18}}(?::[0-9]{{1,5}})?/{_PATH}"
    rf"|(?:{_TOP_LEVEL})(?![a-z0-9_@-]|\.[a-z0-9])(?::[0-9]{{1,5}})?(?:/(?:{_PATH})?)?)",
    re.IGNORECASE | re.ASCII,
)

# Two marks on one letter are Vietnamese, more are a prank.
_PILED_MARKS = re.compile(f"([{COMBINING_MARKS}]{{2}})[{COMBINING_MARKS}]+")
# The same thing six times is no longer emphasis. Three or five times may be meant.
_REPEATED_SYLLABLE = re.compile(r"([^\W\d_]{2,4}?)\1{5,}", re.IGNORECASE)
_REPEATED_WORD = re.compile(r"\b([^\W\d_]+)(?:[\s,]+\1\b){5,}", re.IGNORECASE)
_WORD_SEPARATOR = re.compile(r"([\s,]+)")
_KEPT_REPEATS = 3

_LOOKAHEAD_CHARS = 200
# The rest after a truncated text is long. This stands for it: for a short rest `segments` would choose another end.
_LONG_REST = " and the rest of the line"

MAX_AUTHOR_CHARS = 40
_SENTENCE_END = re.compile(r"\.(?=\s|$)")


class TextEdit(NamedTuple):
    """Replaces a part of a text. An empty `replacement` drops the part."""

    start: int
    end: int
    replacement: str


def visible_text(text: str) -> str:
    """What a reader sees of a text: NFC, without invisible characters, white space folded to single blanks.

    Styled letters are folded as for speech, so that the policies check what is spoken.
    """
    return _fold_blanks(compose_and_fold(_INVISIBLE.sub("", text)))


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
    joined = _EMPTY_BRACKETS.sub(" ", _fold_blanks("".join([*parts, text[end:]])))
    return _fold_blanks(_UNNEEDED_BLANK.sub("", _fold_blanks(joined)))


def link_edits(text: str, replacement: str) -> list[TextEdit]:
    """An edit for each web address. A mail address is not a link."""
    return [TextEdit(*match.span(), replacement) for match in _LINK.finditer(text)]


def shorten_repeats(text: str, max_run: int) -> str:
    """Shorten what somebody repeated, except digits: 10000 is not 1000.

    A run of one letter or mark keeps `max_run` of it. Six and more of one syllable or word become three. Links stay
    whole.
    """
    parts: list[str] = []
    end = 0
    for link in _LINK.finditer(text):
        parts += [_shorten_repeats(text[end : link.start()], max_run), link[0]]
        end = link.end()
    return "".join([*parts, _shorten_repeats(text[end:], max_run)])


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


def spoken_author(name: str, *, drop_links: bool) -> str | None:
    """An author's name as it is spoken; `None` if nothing is left of it.

    Every chatter may choose a name, so it is cleaned: letters, digits and what is between them stay, 40 characters
    at most.
    """
    text = visible_text(unicodedata.normalize("NFKC", visible_text(name)))
    if drop_links:
        text = apply_edits(text, link_edits(text, ""))
    text = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "'’.&-" else " " for char in text)
    text = shorten_repeats(_fold_blanks(_SENTENCE_END.sub(" ", text)), 3)[:MAX_AUTHOR_CHARS].strip()
    return text if is_speakable(text) else None


def _fold_blanks(text: str) -> str:
    return " ".join(text.split())


def _touches_word(text: str, edit: TextEdit) -> bool:
    """Whether the replacement would touch something other than a blank or a punctuation mark."""
    around = text[max(0, edit.start - 1) : edit.start] + text[edit.end : edit.end + 1]
    return any(unicodedata.category(char)[0] in "LMNS" for char in around)


def _shorten_repeats(text: str, max_run: int) -> str:
    repeated_char = re.compile(rf"([^\W\d]|[^\w\s])\1{{{max_run},}}", re.IGNORECASE)
    text = _PILED_MARKS.sub(r"\1", text)
    text = repeated_char.sub(lambda run: run[0] if _has_numeral(run[1]) else run[0][:max_run], text)
    text = _REPEATED_SYLLABLE.sub(
        lambda run: run[0] if _has_numeral(run[1]) else run[0][: _KEPT_REPEATS * len(run[1])], text
    )
    return _REPEATED_WORD.sub(lambda run: "".join(_WORD_SEPARATOR.split(run[0])[: 2 * _KEPT_REPEATS - 1]), text)


def _has_numeral(text: str) -> bool:
    """Whether the text holds a numeral, such as 一 or 〇."""
    return any(unicodedata.numeric(char, None) is not None for char in text)

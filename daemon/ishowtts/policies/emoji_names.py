"""Emoji: named, dropped, or one where somebody sent twenty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import emoji

from ishowtts.limits import HAN, KANA
from ishowtts.policies.text_edits import TextEdit

_TINTS = re.compile("[\U0001f3fb-\U0001f3ff]")
_SIGNS_END = "\u2190"  # ©, ® and ™ are signs of writing, unless an emoji is asked for
_KEYCAP = "\u20e3"
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")


def emoji_cuts(text: str, action: str, fold: bool, language: str) -> Iterator[TextEdit]:
    """A cut for each emoji that does not stay as it is.

    Args:
        action: `keep`, `drop` or `name`.
        fold: leave one of a run of the same.
        language: of the names, or `auto`: Chinese in a text of Chinese characters, else English.
    """
    if text.isascii():
        return
    if language == "auto":
        language = "zh" if _HAN.search(text) and not _KANA.search(text) else "en"
    last, last_end = "", 0
    for start, end, sign in _found(text):
        repeated = fold and sign == last and not text[last_end:start].strip()
        last, last_end = sign, end
        if sign[-1] == _KEYCAP and action != "keep":
            yield start, end, sign[0]  # never a digit less: 1 in a box is 1
        elif action == "drop" or repeated:
            yield start, end, ""
        elif action == "name":
            yield start, end, _name(sign, language)


def _found(text: str) -> Iterator[tuple[int, int, str]]:
    for found in emoji.emoji_list(text):
        sign = str(found["emoji"])
        if len(sign) > 1 or sign >= _SIGNS_END:
            yield int(found["match_start"]), int(found["match_end"]), sign


@lru_cache(maxsize=4096)
def _name(sign: str, language: str) -> str:
    """What an emoji is called, without the tint of a skin; in English where the language has no name for it."""
    bare = _TINTS.sub("", sign) or sign
    for chosen in (language, "en"):
        emoji.config.load_language(chosen)
        name = emoji.demojize(bare, delimiters=("", ""), language=chosen)
        if name != bare:
            return name.replace("_", " ")
    return ""

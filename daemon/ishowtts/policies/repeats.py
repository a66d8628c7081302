"""What somebody wrote over and over, cut to a few. Never digits: 10000 is not 1000."""

from __future__ import annotations

import re
import unicodedata

from ishowtts.policies.links import LINK

_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_HEAP = re.compile(f"([{_MARKS}]{{2}})[{_MARKS}]+")  # two on one letter are Vietnamese, more are a prank
# Six times the same is no emphasis any more. What stands there three times or five may be meant.
_SYLLABLES = re.compile(r"([^\W\d_]{2,4}?)\1{5,}", re.IGNORECASE)
_WORDS = re.compile(r"\b([^\W\d_]+)(?:[\s,]+\1\b){5,}", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"([\s,]+)")
_KEPT = 3


def without_repeats(text: str, most: int) -> str:
    """Runs of one letter or mark cut to `most`; six and more of one syllable or word to three; links stay whole."""
    parts: list[str] = []
    end = 0
    for link in LINK.finditer(text):
        parts += [_cut(text[end : link.start()], most), link[0]]
        end = link.end()
    return "".join([*parts, _cut(text[end:], most)])


def _cut(text: str, most: int) -> str:
    runs = re.compile(rf"([^\W\d]|[^\w\s])\1{{{most},}}", re.IGNORECASE)
    text = _HEAP.sub(r"\1", text)
    text = runs.sub(lambda run: run[0] if _is_number(run[1]) else run[0][:most], text)
    text = _SYLLABLES.sub(lambda run: run[0] if _is_number(run[1]) else run[0][: _KEPT * len(run[1])], text)
    return _WORDS.sub(lambda run: "".join(_BETWEEN_WORDS.split(run[0])[: 2 * _KEPT - 1]), text)


def _is_number(text: str) -> bool:
    """Whether a numeral stands in it, such as 一 or 〇."""
    return any(unicodedata.numeric(char, None) is not None for char in text)

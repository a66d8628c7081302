"""Which language each part of a mixed line is in: that of its script, figures going with what stands before them."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

from ishowtts.limits import HAN, KANA
from ishowtts.text.reading_rules import ADDRESS

_CHINESE = ("zh", "cmn", "yue", "hak", "wuu", "nan")
_WRITE_HAN = ("ja", "ko", "vi")
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")
# With figures in them or behind them, letters go where the figures go: A4, 5G, 16GB, 5 km.
_WITH_FIGURES = re.compile(
    r"(?:US|HK|NT|NZ|A|C)\$|°[CF](?![A-Za-z])"
    r"|[A-Za-z]{0,20}[0-9][A-Za-z0-9µ]{0,20}(?:/[a-z]{1,3}(?![A-Za-z]))?"
    r"|(?<=[0-9]) ?(?:[kcmnµ]?m|[kKMGT]i?B|[kmµ]?g|m?l|m?L|[kMG]?Hz|[kM]?Wh?|m?Ah?|[km]?V|dB|ms|min|s|h)"
    r"(?:/[a-z]{1,3})?(?![A-Za-z])"
)


class ScriptRun(NamedTuple):
    """Part of a text in one language: `start` to `end`, in characters."""

    start: int
    end: int
    language: str


def base(language: str | None) -> str:
    """`en` for `en-us`, `zh` for each of the Chinese ones, `en` where nothing is said."""
    first = (language or "en").split("-")[0].lower()
    return "zh" if first in _CHINESE else first


def runs(text: str, language: str | None) -> list[ScriptRun]:
    """The runs of a text, in order and without gaps.

    Args:
        language: of the voice. Han is Chinese but in a voice whose language is written with it, or beside kana;
            letters are in the language of the voice, and in English where that is Chinese. What is no letter goes
            with the letters before it, else with those behind it.
    """
    own = base(language)
    japanese = own != "zh" and _KANA.search(text)
    han = own if own in _WRITE_HAN else "ja" if japanese else "zh"
    latin = "en" if own == "zh" else own
    strong = [_of_character(character, han, latin) for character in text]
    for weak in (*ADDRESS.finditer(text), *_WITH_FIGURES.finditer(text)):
        strong[weak.start() : weak.end()] = [None] * (weak.end() - weak.start())
    last = next((found for found in strong if found), own)
    languages = []
    for found in strong:
        last = found or last
        languages.append(last)
    result, start = [], 0
    for of_run, group in groupby(languages):
        end = start + sum(1 for _ in group)
        result.append(ScriptRun(start, end, of_run))
        start = end
    return result


def _of_character(character: str, han: str, latin: str) -> str | None:
    if not character.isalpha():
        return None
    if _HAN.match(character):
        return han
    return "ja" if han == "ja" and _KANA.match(character) else latin

"""Splits a mixed line into runs of one language, by script. Figures go with the text before them."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

from ishowtts.limits import HAN, KANA
from ishowtts.text.reading_rules import ADDRESS, any_of
from ishowtts.text.units import UNITS

_CHINESE = ("zh", "cmn", "yue", "hak", "wuu", "nan")
_WRITTEN_WITH_HAN = ("ja", "ko", "vi")
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")
_UNIT = any_of(symbol for symbol in UNITS if symbol not in ("in", "d", "w", "y", "mo", "deg"))
# Letters beside or after figures go with the figures: A4, 5G, 16GB, 5 km.
_AFTER_SLASH = rf"(?: ?/ ?(?:10{{1,3}} ?)?(?:{_UNIT})(?![A-Za-z]))?"
_WITH_FIGURES = re.compile(
    r"(?:US|HK|NT|NZ|A|C)\$|°[CF](?![A-Za-z])"
    rf"|[0-9]{{1,15}} ?(?:{_UNIT}|[AaPp]\.?[Mm])(?![A-Za-z0-9]){_AFTER_SLASH}"
    r"|[A-Za-z]{0,20}[0-9][A-Za-z0-9µ]{0,20}(?:/[a-z]{1,3}(?![A-Za-z]))?"
)

# In Chinese text: an initialism before a number (空气质量AQI 152), a price (0.5元/kWh), a number before a word (5元).
_IN_CHINESE = re.compile(
    rf"(?<=[{HAN}，。：；、（])[A-Z]{{2,5}}(?= ?[0-9])|(?<=[{HAN}])[A-Z]{{1,3}}-[0-9]{{1,6}}"
    rf"|(?<=元)/(?:{_UNIT})(?![A-Za-z0-9])"
)
_BEFORE_HAN = re.compile(rf"(?<![A-Za-z0-9.,-])[0-9]{{1,12}}(?:\.[0-9]{{1,6}})?(?=[{HAN}])")


class ScriptRun(NamedTuple):
    """Part of a text in one language: `start` to `end`, in characters."""

    start: int
    end: int
    language: str


def base_language(language: str | None) -> str:
    """The language without its region: `en` for `en-us` and for `None`, `zh` for every Chinese language."""
    tag = (language or "en").split("-")[0].lower()
    return "zh" if tag in _CHINESE else tag


def region(language: str | None) -> str | None:
    """The region of a language in lower case: `de` for `en-DE`; `None` if it names none."""
    return next((part.lower() for part in (language or "").split("-")[1:] if len(part) == 2), None)


def script_runs(text: str, language: str | None) -> list[ScriptRun]:
    """The runs of a text, in order and without gaps.

    Args:
        language: Language of the voice. Han is Chinese, except beside kana or if the voice's own language is written
            with it. Other letters are in the language of the voice, or in English if that is Chinese. Other
            characters go with the letters before them, else with those after them.
    """
    own = base_language(language)
    japanese = own != "zh" and _KANA.search(text)
    han = own if own in _WRITTEN_WITH_HAN else "ja" if japanese else "zh"
    latin = "en" if own == "zh" else own
    known = [_language_of(character, han, latin) for character in text]
    for neutral in (*ADDRESS.finditer(text), *_WITH_FIGURES.finditer(text), *_IN_CHINESE.finditer(text)):
        known[neutral.start() : neutral.end()] = [None] * (neutral.end() - neutral.start())
    for number in _BEFORE_HAN.finditer(text):
        known[number.start()] = han
    last = next((found for found in known if found), own)
    languages = []
    for found in known:
        last = found or last
        languages.append(last)
    result, start = [], 0
    for run_language, group in groupby(languages):
        end = start + sum(1 for _ in group)
        result.append(ScriptRun(start, end, run_language))
        start = end
    return result


def _language_of(character: str, han: str, latin: str) -> str | None:
    if not character.isalpha():
        return None
    if _HAN.match(character):
        return han
    return "ja" if han == "ja" and _KANA.match(character) else latin

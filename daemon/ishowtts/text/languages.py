"""Splits a text into runs of one language: by script, and Latin sentences by identification."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ishowtts.limits import HAN
from ishowtts.text.language_identifier import identify
from ishowtts.text.reading_rules import ADDRESS, any_of
from ishowtts.text.scripts import base_language, letter_languages, written_in_latin
from ishowtts.text.segmentation import sentences
from ishowtts.text.units import UNITS

_MAX_IDENTIFIED_CHARS = 20_000  # a quarter of an hour of speech; later sentences are in the default language
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


class LanguageRun(NamedTuple):
    """Part of a text in one language: `start` to `end`, in characters."""

    start: int
    end: int
    language: str


def language_runs(text: str, language: str | None, *, fixed: bool = False) -> list[LanguageRun]:
    """The runs of a text, in order and without gaps, each with its base language.

    The script of a letter decides first. A sentence in Latin letters is in the default language unless it is
    identified as another one. Other characters go with the letters before them in their sentence, else with those
    after them. The result depends on the arguments only.

    Args:
        language: The default: language of the line, else of its voice, else of the appliance; `None`: English. Latin
            letters are English by default if it is written in another script.
        fixed: The line itself names the language, so sentences in its script are not identified.
    """
    own = base_language(language)
    latin = own if written_in_latin(own) else "en"
    known = letter_languages(text, own, latin)
    parts = list(sentences(text))
    if not (fixed and latin == own):
        _identify_sentences(text, parts, known, latin)
    for neutral in (*ADDRESS.finditer(text), *_WITH_FIGURES.finditer(text), *_IN_CHINESE.finditer(text)):
        known[neutral.start() : neutral.end()] = [None] * (neutral.end() - neutral.start())
    for number in _BEFORE_HAN.finditer(text):
        known[number.start()] = known[number.end()]
    return _joined(known, parts, own)


def _identify_sentences(text: str, parts: Sequence[tuple[int, int]], known: list[str | None], latin: str) -> None:
    """Put the identified language of each Latin sentence into `known`."""
    parts = [part for part in parts if part[1] <= _MAX_IDENTIFIED_CHARS]
    written = [
        "".join(text[at] if known[at] in (latin, None) else " " for at in range(start, end)) for start, end in parts
    ]
    found = [identify(sentence, latin) for sentence in written]
    for place, sentence in enumerate(written):
        for beside in (place + 1, place - 1):
            if found[place] == latin and 0 <= beside < len(parts) and found[beside] != latin:
                found[place] = identify(sentence, latin, near=found[beside])
    for (start, end), language in zip(parts, found, strict=True):
        if language != latin:
            known[start:end] = [language if letter == latin else letter for letter in known[start:end]]


def _joined(known: Sequence[str | None], parts: Sequence[tuple[int, int]], own: str) -> list[LanguageRun]:
    """The runs, after characters without a language got that of their neighbours."""
    last = next((found for found in known if found), own)
    languages = []
    for start, end in parts:
        last = next((found for found in known[start:end] if found), last)
        for found in known[start:end]:
            last = found or last
            languages.append(last)
    changes = [at for at in range(1, len(languages)) if languages[at] != languages[at - 1]]
    return [
        LanguageRun(start, end, languages[start])
        for start, end in pairwise([0, *changes, len(languages)])
        if end > start
    ]

"""Languages by their tags, and the language that a letter's script shows."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from ishowtts.limits import HAN, KANA, LANGUAGE_TAG, LANGUAGE_TAG_CHARS

# Tags of one language, and the one that is used for it here.
_ALIASES = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "fil": "tl", "sh": "sr"}
_CHINESE = ("zh", "cmn", "yue", "hak", "wuu", "nan")
_IN_TWO_SCRIPTS = ("sr", "ku")
_WRITTEN_WITH_HAN = ("ja", "ko", "vi")
_MARK = "mark"
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")

# The languages that are written in a script. The first one is assumed unless letters show another.
_LANGUAGES = {
    "CYRILLIC": ("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "tt", "ba", "cv", "mn", "tg"),
    "ARABIC": ("ar", "fa", "ur", "ug", "sd", "ps", "ku"),
    "HEBREW": ("he", "yi"),
    "GREEK": ("el", "grc"),
    "DEVANAGARI": ("hi", "mr", "ne", "kok", "sa"),
    "BENGALI": ("bn", "as", "bpy"),
    "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",),
    "ORIYA": ("or",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "KANNADA": ("kn",),
    "MALAYALAM": ("ml",),
    "SINHALA": ("si",),
    "THAI": ("th",),
    "LAO": ("lo",),
    "MYANMAR": ("my", "shn"),
    "KHMER": ("km",),
    "TIBETAN": ("bo",),
    "GEORGIAN": ("ka",),
    "ARMENIAN": ("hy", "hyw"),
    "ETHIOPIC": ("am", "ti"),
    "CHEROKEE": ("chr",),
    "HANGUL": ("ko",),
    "KANA": ("ja",),
    "HAN": ("zh", "ja", "ko", "vi"),
}
# Letters that one language of a script has and those further down do not.
_DECISIVE = {
    "CYRILLIC": (
        ("be", re.compile("[ўЎ]")),
        ("mk", re.compile("[ѓќѕЃЌЅ]")),
        ("sr", re.compile("[ђћЂЋ]")),
        ("kk", re.compile("[ғқұҒҚҰ]")),
        ("tt", re.compile("[җҖ]")),
        ("ba", re.compile("[ҙҡҫҘҠҪ]")),
        ("ky", re.compile("[ңөүҢӨҮ]")),
        ("uk", re.compile("[іїєґІЇЄҐ]")),
        ("sr", re.compile("[јљњџЈЉЊЏ]")),
        ("ru", re.compile("[ыэёЫЭЁ]")),
        ("bg", re.compile("[ъЪ](?![еёюяЕЁЮЯ])")),
    ),
    "ARABIC": (
        ("ur", re.compile("[ٹڈڑںےہھ]")),
        ("sd", re.compile("[ڪٿڄڃڦڻ]")),
        ("ug", re.compile("[ۇۆۈېە]")),
        ("fa", re.compile("[پچژگکی]")),
    ),
    "DEVANAGARI": (("mr", re.compile("ळ")),),
    "BENGALI": (("as", re.compile("[ৰৱ]")),),
}
_SHARE_OF_KANA = 0.3  # Japanese has more kana than this among its letters; a の in Chinese is an ornament


def base_language(language: str | None) -> str:
    """The language without its region: `en` for `en-us` and for `None`, `zh` for every Chinese language."""
    tag = (language or "en").split("-")[0].lower()
    return "zh" if tag in _CHINESE else _ALIASES.get(tag, tag)


def canonical_language(tag: str) -> str | None:
    """A tag in the case of BCP 47, as in `pt-BR` or `zh-Hant-TW`; `None` if it is not a tag."""
    if len(tag) > LANGUAGE_TAG_CHARS or not LANGUAGE_TAG.fullmatch(tag):
        return None
    first, *others = tag.lower().split("-")
    written, is_extension = [first], False
    for part in others:
        is_extension = is_extension or len(part) == 1
        special = part.upper() if len(part) == 2 else part.title() if len(part) == 4 and part.isalpha() else part
        written.append(part if is_extension else special)
    return "-".join(written)


def region(language: str | None) -> str | None:
    """The region of a language in lower case: `de` for `en-DE`; `None` if it names none."""
    return next((part.lower() for part in (language or "").split("-")[1:] if len(part) == 2), None)


def written_in_latin(language: str) -> bool:
    """Whether a base language is written in Latin letters."""
    return language in ("vi", *_IN_TWO_SCRIPTS) or all(language not in languages for languages in _LANGUAGES.values())


def letter_languages(text: str, own: str, latin: str) -> list[str | None]:
    """The language of each character by its script; `None` if it is no letter.

    Args:
        own: The default. Letters of its script are in this language.
        latin: Language of Latin letters, and of letters of unknown scripts.
    """
    if text.isascii():
        return [latin if character.isalpha() else None for character in text]
    scripts = [_script_of(character) for character in text]
    languages: dict[str | None, str | None] = {None: None, _MARK: None, "LATIN": latin}
    for script in {*scripts} - languages.keys():
        languages[script] = _language_of_script(script or "", text, scripts, own) if script in _LANGUAGES else latin
    return [languages[script] for script in scripts]


def _language_of_script(script: str, text: str, scripts: list[str | None], own: str) -> str | None:
    if script in ("HAN", "KANA"):
        return _language_of_han(scripts, own)
    if script != "HANGUL" and not _has_word(scripts, script):
        return None  # a letter alone is a sign, as in 5 Ω or in a face of characters
    if own in _LANGUAGES[script]:
        return own
    for language, letters in _DECISIVE.get(script, ()):
        if letters.search(text):
            return language
    return _LANGUAGES[script][0]


def _language_of_han(scripts: list[str | None], own: str) -> str | None:
    han, kana = scripts.count("HAN"), scripts.count("KANA")
    if not han and kana == 1:
        return None
    if kana and (own != "zh" or kana > _SHARE_OF_KANA * (han + kana)):
        return "ja"
    if own in _WRITTEN_WITH_HAN:
        return own
    return "ko" if scripts.count("HANGUL") > han else "zh"


def _has_word(scripts: list[str | None], script: str) -> bool:
    letters = (found for found in scripts if found != _MARK)
    return any(first == second == script for first, second in pairwise(letters))


@lru_cache(maxsize=8192)
def _script_of(character: str) -> str | None:
    """Name of the script of a letter, as Unicode names it; `_MARK` for a mark on a letter, else `None`."""
    if unicodedata.category(character).startswith("M"):
        return _MARK
    if not character.isalpha():
        return None
    if _HAN.match(character):
        return "HAN"
    if _KANA.match(character):
        return "KANA"
    return unicodedata.name(character, "").split(" ")[0]

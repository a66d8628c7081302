"""Brings texts into a common spelling, so that word errors are errors of speech and not of writing.

whisper-normalizer does the English part, but it does not read numbers in Mandarin, simplify characters, or use the
project's own text reader. `tests/bench/metrics/test_spelling.py` holds the cases that matter here.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache
from typing import Any

from ishowtts.limits import HAN
from ishowtts.text.reader import TextReader
from ishowtts.text.scripts import base_language
from ishowtts_bench.metrics.number_words import in_digits

log = logging.getLogger(__name__)

_READER = TextReader(None, lambda _: None)
_TOKEN = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d")
_HAN_ALIKE = str.maketrans("两〇幺她它地得", "二零一他他的的")  # these sound alike, or are used for each other
_HAN_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")

# British to American endings. A word that is changed wrongly is changed in both texts, so it does no harm.
_ENDINGS = (
    (re.compile(r"(\w{3,})our((?:ed|ing|ite|able|hood|ful|less|ly)?s?)$"), r"\1or\2"),
    (re.compile(r"(\w{3,})is(e[drs]?|es|ing|ers?|ations?)$"), r"\1iz\2"),
    (re.compile(r"(\w{2,})ys(e[drs]?|ing)$"), r"\1yz\2"),
    (re.compile(r"(\w*(?:cent|theat|lit|met|fib|lust|spect))re(s?)$"), r"\1er\2"),
    (re.compile(r"(\w{3,})ogue(s?)$"), r"\1og\2"),
    (re.compile(r"(\w*[aeiou]\w*[aeiou])ll(ed|ing|ers?|ist)$"), r"\1l\2"),
    (re.compile(r"(\w{2,})ence(s?)$"), r"\1ense\2"),
)
_WORDS = {
    "grey": "gray", "greys": "grays", "programme": "program", "programmes": "programs", "cheque": "check",
    "cheques": "checks", "tyre": "tire", "tyres": "tires", "kerb": "curb", "plough": "plow", "practise": "practice",
    "practised": "practiced", "practising": "practicing", "jewellery": "jewelry", "aluminium": "aluminum",
    "storey": "story", "cosy": "cozy", "mum": "mom", "pyjamas": "pajamas", "fulfil": "fulfill", "skilful": "skillful",
    "enrol": "enroll", "aeroplane": "airplane", "moustache": "mustache", "judgement": "judgment", "draught": "draft",
    "ageing": "aging", "towards": "toward", "okay": "ok", "mr": "mister", "mrs": "missus", "dr": "doctor",
    "alright": "allright", "sceptical": "skeptical", "doughnut": "donut", "doughnuts": "donuts",
}  # fmt: skip


def tokens(text: str, language: str) -> list[str]:
    """Split a text into words, or Han characters, in the common spelling.

    The result does not depend on: case, punctuation, hyphens, accents; digits, number words or signs (each digit is a
    word); British or American spelling; traditional or simplified characters; 二 or 两; characters that sound alike and
    are often confused (他, 她, 它).

    Args:
        text: A reference text or a transcript.
        language: `en`, `zh`, or another one. In other languages numbers stay as they are.
    """
    spoken = _READER.read(text, None, base_language(language))
    plain = unicodedata.normalize("NFKD", spoken.lower().replace("'", "").replace("’", ""))
    found = _TOKEN.findall("".join(c for c in plain if not unicodedata.combining(c)))
    spelt = [_spelt(token) for token in in_digits(found)]
    return [token.translate(_HAN_DIGITS) for token in spelt] if base_language(language) == "zh" else spelt


def _spelt(token: str) -> str:
    if len(token) == 1 and not token.isascii():
        return _simplified(token).translate(_HAN_ALIKE)
    if token in _WORDS:
        return _WORDS[token]
    for ending, replacement in _ENDINGS:
        token, changed = ending.subn(replacement, token)
        if changed:
            break
    return token


@lru_cache(maxsize=8192)
def _simplified(character: str) -> str:
    try:
        simplified: str = _converter().normalize(character)
    except Exception as error:  # wetext fails with AssertionError on unknown input, and documents no exceptions
        log.debug("wetext cannot simplify %r: %r", character, error)
        return character
    return simplified if len(simplified) == 1 else character


@lru_cache(maxsize=1)
def _converter() -> Any:
    import wetext

    return wetext.Normalizer(lang="zh", operator="tn", traditional_to_simple=True)

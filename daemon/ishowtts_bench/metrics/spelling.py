"""One spelling for what sounds alike, so that a judge counts errors of speech and not of writing."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache
from typing import Any

from ishowtts.limits import HAN
from ishowtts.text.reader import TextReader
from ishowtts.text.scripts import base_language
from ishowtts_bench.metrics.number_words import in_figures

_log = logging.getLogger(__name__)

_TOKEN = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d")
_HAN_ALIKE = str.maketrans("两〇幺她它地得", "二零一他他的的")  # said alike, or for one another
_HAN_FIGURES = str.maketrans("0123456789", "零一二三四五六七八九")

# British to American, by the endings that differ; a word that is changed for nothing is changed on both sides.
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
    """What is said, in words of English or in Han characters, in one spelling.

    Alike become: case, punctuation, hyphens, accents; figures, number words and signs (each figure is a word);
    British and American spelling; traditional and simplified characters; 二 and 两; characters that are
    said alike and mixed up in writing (他, 她, 它).

    Args:
        text: a reference, or what Whisper wrote.
        language: `en`, `zh`, or any other, whose numbers stay as they are.
    """
    read = _reader(base_language(language)).read(text, None)
    plain = unicodedata.normalize("NFKD", read.lower().replace("'", "").replace("’", ""))
    found = _TOKEN.findall("".join(c for c in plain if not unicodedata.combining(c)))
    said = [_spelt(token) for token in in_figures(found)]
    return [token.translate(_HAN_FIGURES) for token in said] if base_language(language) == "zh" else said


def _spelt(token: str) -> str:
    if len(token) == 1 and not token.isascii():
        return _simplified(token).translate(_HAN_ALIKE)
    if token in _WORDS:
        return _WORDS[token]
    for ending, put in _ENDINGS:
        token, changed = ending.subn(put, token)
        if changed:
            break
    return token


@lru_cache(maxsize=8)
def _reader(language: str) -> TextReader:
    return TextReader(None, lambda _: language)


@lru_cache(maxsize=8192)
def _simplified(character: str) -> str:
    try:
        said: str = _converter().normalize(character)
    except Exception as error:  # wetext asserts on what its grammars do not know, and promises no exceptions
        _log.debug("wetext cannot simplify %r: %r", character, error)
        return character
    return said if len(said) == 1 else character


@lru_cache(maxsize=1)
def _converter() -> Any:
    import wetext

    return wetext.Normalizer(lang="zh", operator="tn", traditional_to_simple=True)

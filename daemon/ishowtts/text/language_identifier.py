"""Identifies the language of a sentence in Latin letters, by statistics (py3langid) and by common words.

A sentence is in the default language unless the evidence is strong: chats and announcements are full of names, titles
and loanwords. tests/text/languages has the sentences that the thresholds were chosen with.
"""

from __future__ import annotations

import logging
import re
import threading
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ishowtts.errors import first_line
from ishowtts.text.common_words import LANGUAGES_OF_WORD, PARTICLES
from ishowtts.text.transition_table import TransitionTable
from ishowtts.util.logs import Untrusted

log = logging.getLogger(__name__)

IDENTIFIED = (
    "af", "az", "ca", "cs", "cy", "da", "de", "en", "es", "et", "eu", "fi", "fr", "ga", "hr", "hu", "id", "is",
    "it", "lt", "lv", "mt", "nl", "no", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tr", "vi",
)  # fmt: skip
"""The languages that a sentence may be in: in Latin letters, known to py3langid, and spoken by espeak-ng."""

_Probabilities: TypeAlias = "list[tuple[str, float]]"
_WORD = re.compile(r"[^\W\d_]{1,40}(?:['’][^\W\d_]{1,40}){0,3}")
_SIGN = re.compile(r"[@#_/\\\d]")  # in names of users, addresses and codes, which are no evidence for any language
_MAX_CHARS = 1000  # the beginning of a longer sentence shows its language
_MIN_LETTERS = 4

_COMMON_WORD_FACTOR = 8.0
_MIN_PROBABILITY = 0.8
_MIN_PROBABILITY_WITHOUT_COMMON_WORD = 0.9
_MIN_WORDS_WITHOUT_COMMON_WORD = 2
_MIN_LETTERS_WITHOUT_COMMON_WORD = 10
_MAX_DEFAULT_PROBABILITY = 0.05
# Sentences of a group look alike: together they are evidence against the default, and the likeliest one is taken.
_GROUPS = (
    frozenset({"da", "no", "sv"}),
    frozenset({"cs", "sk"}),
    frozenset({"ca", "es", "pt"}),
    frozenset({"af", "nl"}),
    frozenset({"hr", "sl"}),
    frozenset({"az", "tr"}),
)

_WITH_CAPITALS = frozenset({"de", "en"})

_lock = threading.Lock()
_ranking: Callable[[str], _Probabilities] | None = None
_fault: str | None = None


class _Evidence(NamedTuple):
    """The words of a sentence that may show its language: all but names."""

    words: tuple[str, ...]

    @property
    def letters(self) -> int:
        return sum(map(len, self.words))

    @property
    def is_enough(self) -> bool:
        """Whether it may show a language by itself: a single word may not, unless English has no such letters."""
        return len(self.words) > 1 or not all(map(str.isascii, self.words))


def load_identifier() -> None:
    """Load the statistics now. Takes 0.7 s, and about 13 MB as long as the process lives."""
    _loaded()


def identifier_fault() -> str | None:
    """Why no language is identified, in one sentence; `None` if it is, or if nobody has needed it yet."""
    return _fault


def identify(sentence: str, default: str, near: str | None = None) -> str:
    """The base language of a sentence in Latin letters. Never raises.

    Args:
        default: The base language that is returned unless another is much more likely.
        near: Language of a sentence beside this one, which makes it more likely here too.
    """
    evidence = _evidence(sentence[:_MAX_CHARS])
    if evidence.letters < _MIN_LETTERS or (near is None and not evidence.is_enough):
        return default
    return _decide(evidence, default, near)


@lru_cache(maxsize=1024)
def _decide(evidence: _Evidence, default: str, near: str | None) -> str:
    scores = dict(_loaded()(" ".join(evidence.words)))
    if default not in scores:
        return default
    common: set[str] = set()
    for word in evidence.words:
        for language in _languages_of(word):
            scores[language] *= _COMMON_WORD_FACTOR
            common.add(language)
    if near in scores:
        scores[near] *= _COMMON_WORD_FACTOR
        common.add(near)
    total = sum(scores.values())
    likeliest = max(scores, key=scores.__getitem__)
    group = next((group for group in _GROUPS if likeliest in group), frozenset({likeliest}))
    probability = sum(scores[language] for language in group) / total
    if default in group or scores[default] / total > _MAX_DEFAULT_PROBABILITY:
        return default
    if likeliest in common:
        return likeliest if probability >= _MIN_PROBABILITY else default
    enough = (
        len(evidence.words) >= _MIN_WORDS_WITHOUT_COMMON_WORD
        and evidence.letters >= _MIN_LETTERS_WITHOUT_COMMON_WORD
        and probability >= _MIN_PROBABILITY_WITHOUT_COMMON_WORD
    )
    return likeliest if enough else default


def _evidence(sentence: str) -> _Evidence:
    """The words without names: those with a capital letter inside of a sentence, and the particles before them.

    German writes each noun with a capital letter, and titles in English have many. Their common words are no names.
    """
    found = _WORD.findall(" ".join(part for part in sentence.split() if not _SIGN.search(part)))
    if sentence.isupper():
        return _Evidence(tuple(dict.fromkeys(word.lower() for word in found)))
    words = []
    for place, word in enumerate(found):
        following = found[place + 1] if place + 1 < len(found) else ""
        is_name = word[1:] != word[1:].lower() or (
            place > 0 and word[0].isupper() and _WITH_CAPITALS.isdisjoint(_languages_of(word))
        )
        is_particle = word.lower() in PARTICLES and following[:1].isupper()
        if not (is_name or is_particle):
            words.append(word)
    return _Evidence(tuple(dict.fromkeys(words)))


def _languages_of(word: str) -> tuple[str, ...]:
    """The languages in which a word is common."""
    word = word.lower().replace("’", "'")
    known = LANGUAGES_OF_WORD.get(word)
    if known is None and "'" in word:
        known = LANGUAGES_OF_WORD.get(word[: word.index("'") + 1])
    return known or ()


def _loaded() -> Callable[[str], _Probabilities]:
    global _ranking  # noqa: PLW0603 - all readers share the statistics
    with _lock:
        if _ranking is None:
            _ranking = _load()
        return _ranking


def _load() -> Callable[[str], _Probabilities]:
    global _fault  # noqa: PLW0603 - as the statistics
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        whole.set_languages(IDENTIFIED)
        # The selected columns only, and small tables: the others take 60 MB.
        identifier = LanguageIdentifier(
            whole.nb_ptc.copy(),
            whole.nb_pc.copy(),
            whole.nb_classes,
            TransitionTable(whole.tk_nextmove, whole.tk_row),
            array("i", whole.tk_output),
            norm_probs=True,
            tk_row=whole.tk_row,
        )
    except Exception as error:  # a broken package must not silence the appliance
        _fault = f"languages are not identified: py3langid cannot be loaded ({first_line(error)}); run install.sh again"
        log.error("%s", _fault)
        return lambda _: []

    def rank(text: str) -> _Probabilities:
        try:
            return [(language, float(probability)) for language, probability in identifier.rank(text)]
        except Exception as error:  # it documents no exceptions
            log.debug("py3langid cannot read %r: %r", Untrusted(text), error)
            return []

    return rank

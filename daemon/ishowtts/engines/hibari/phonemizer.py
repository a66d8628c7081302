"""Turns English text into phonemes with the package hibari-tts, in phrases that the model speaks one at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from hibari.g2p import G2P
from hibari.g2p.oov import OOV
from hibari.tts import Hibari

from ishowtts.errors import SynthesisError

MAX_PHONEMES = 200
"""Longest phrase. It sounds about 12 s: at most so much is made before a cancel is noticed, and held in memory."""
_MIN_CUT = MAX_PHONEMES // 3
_SENTENCE_PAUSE_S = 0.35
_CLAUSE_PAUSE_S = 0.15
_WORD_PAUSE_S = 0.03
_CLAUSE_ENDS = ",;:—"

# The time of the package's rules grows with the cube of a word's parts: 400 bytes of `k9k9…` took 9 s, now 0.15 s.
_LONG_WORD = re.compile(r"(\S{24}[^\W\d_]{0,24})(?=\S)")
# Its number words end at 10^36.
_LONG_NUMBER = re.compile(r"(\d{30})(?=\d)")
_OTHER_DIGIT = re.compile("[²³¹⁰⁴-⁹₀-₉①-⑨⓪]")  # the rules take them for digits, and then fail
_BRACKETS = str.maketrans({"[": " (", "［": " (", "（": " (", "]": ") ", "］": ") ", "）": ") "})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_GREEK_WORD = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{2}")
_MS = re.compile(r"\bMs(?= [A-Z])")


@dataclass(frozen=True)
class Phrase:
    """Phonemes that the model speaks at once.

    Attributes:
        phonemes: in the alphabet of the model.
        pause_s: longest pause after it, at speed 1.
    """

    phonemes: str
    pause_s: float


class Phonemizer:
    """Pronounces text that the reader has put into words. The package's own rules for numbers and dates do not run.

    Those rules would read 8 of 1363 expected readings of our reader wrongly (`I said no. It` becomes `I said number
    It`) and improve one, `Ms`.

    Args:
        oov: the package's net for words that are in no dictionary.
    """

    def __init__(self, oov: OOV) -> None:
        self._oov = oov
        self._g2p = G2P(oov=self._pronounce_unknown)

    def phrases(self, text: str) -> Iterator[Phrase]:
        """Pronounces one sentence after the other.

        Raises:
            SynthesisError: the text has letters that the package does not know, or the rules fail on it.
        """
        if not is_pronounceable(text):
            raise SynthesisError("the natural voice speaks English only, and this text has letters of another script")
        if (letter := self._unknown_letter(text)) is not None:
            raise SynthesisError(f"the natural voice does not know the letter {letter!r}, and would leave it out")
        for sentence in Hibari.split_sentences(plain(text)):
            try:
                phonemes = self._g2p(sentence, normalize_text=False)
            except Exception as error:  # the package's rules are plain Python; whatever they raise is about this text
                raise SynthesisError(f"the pronunciation of this text failed ({type(error).__name__})") from error
            for phrase in _cut(phonemes):
                if any(map(str.isalpha, phrase.phonemes)):
                    yield phrase

    def _unknown_letter(self, text: str) -> str | None:
        """Returns a Latin letter that would be dropped, such as `ɦ`: a chatter could hide a blocked word behind it."""
        latin = (
            char
            for char in unicodedata.normalize("NFKC", text)
            if not char.isascii() and unicodedata.name(char, "").startswith("LATIN ")
        )
        return next((char for char in latin if unicodedata.normalize("NFD", char)[0] not in self._oov.cin), None)

    def _pronounce_unknown(self, word: str) -> str:
        """Pronounces a word of any length. The net itself drops what comes after 24 letters, and some accents."""
        letters = "".join(char if char in self._oov.cin else unicodedata.normalize("NFD", char)[0] for char in word)
        step = self._oov.maxlen
        return "".join(self._oov(letters[i : i + step]) or "" for i in range(0, len(letters), step))


def plain(text: str) -> str:
    """Returns the text without what the package obeys or cannot take.

    It obeys `[word](/phonemes/)`: without square brackets no text can choose its own pronunciation.
    """
    spaced = " ".join(_CONTROL.sub(" ", text).translate(_BRACKETS).split())
    decimal = _OTHER_DIGIT.sub(lambda match: str(unicodedata.digit(match[0])), spaced)
    return _LONG_WORD.sub(r"\1 ", _LONG_NUMBER.sub(r"\1 ", _MS.sub("Miz", decimal)))


def is_pronounceable(text: str) -> bool:
    """Returns whether all letters are Latin, or single Greek ones. The package drops or spells those of other scripts.

    English text has a `π` or a `µ` now and then. The package names them.
    """
    folded = unicodedata.normalize("NFKC", text)
    return not _GREEK_WORD.search(folded) and all(
        unicodedata.name(char, "").startswith(("LATIN ", "GREEK ", "MODIFIER "))
        for char in folded
        if char.isalpha() and not char.isascii()
    )


def _cut(phonemes: str) -> Iterator[Phrase]:
    """Cuts the phonemes of a sentence at clauses, or else between words, if the model should not speak it at once."""
    rest = phonemes
    while len(rest) > MAX_PHONEMES:
        clause = max(rest.rfind(f"{end} ", _MIN_CUT, MAX_PHONEMES) for end in _CLAUSE_ENDS) + 1
        cut = clause or rest.rfind(" ", 1, MAX_PHONEMES)
        if cut <= 0:
            cut = MAX_PHONEMES
        yield Phrase(rest[:cut], _CLAUSE_PAUSE_S if clause else _WORD_PAUSE_S)
        rest = rest[cut:].lstrip()
    yield Phrase(rest, _SENTENCE_PAUSE_S)

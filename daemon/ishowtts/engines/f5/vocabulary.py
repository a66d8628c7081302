"""The tokens of a checkpoint, and the letters of a text that they lack. Imports no torch."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ishowtts.errors import WeightsError
from ishowtts.limits import HAN
from ishowtts.util.files import read_bounded

_MOST_VOCAB_BYTES = 1_000_000  # the official file has 13,800
_HAN = re.compile(f"[{HAN}]")
_A_SYLLABLE = "zhong1"  # a vocabulary with this token has those of all Han letters, as pinyin


@dataclass(frozen=True)
class LetterCount:
    """The number of letters in a text, and how many of them a vocabulary lacks."""

    letters: int
    unknown: int

    @property
    def mostly_unknown(self) -> bool:
        """Whether the vocabulary lacks more than half of the letters. The model would speak noise."""
        return 2 * self.unknown > self.letters


def read_vocab(path: Path) -> dict[str, int]:
    """The index of each token, read like upstream: one token per line. Raises WeightsError."""
    try:
        # Decoded like upstream, with universal line ends.
        lines = io.StringIO(read_bounded(path, _MOST_VOCAB_BYTES).decode("utf-8"), newline=None)
        vocab = {line[:-1]: i for i, line in enumerate(lines)}
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read as a list of tokens; fetch the weights again") from error
    if max(vocab.values(), default=0) >= len(vocab):
        raise WeightsError(f"{path} names a token twice, so the tokens have wrong numbers; fetch the weights again")
    if " " not in vocab:
        raise WeightsError(f"{path} has no space, so it is not a vocabulary of F5-TTS; fetch the weights again")
    return vocab


def unknown_letters(text: str, vocab: Mapping[str, int]) -> LetterCount:
    """Count the letters of a text that a vocabulary lacks. The model takes each of them for token 0.

    Upstream converts Han letters to pinyin, so they are known if the vocabulary has syllables. Digits, marks and
    punctuation are not counted: a text in a foreign script often has them too.
    """
    pinyin = _A_SYLLABLE in vocab
    letters = [character for character in text if character.isalpha()]
    unknown = sum(character not in vocab and not (pinyin and _HAN.match(character)) for character in letters)
    return LetterCount(len(letters), unknown)

"""Texts to learn from and to be judged by, all written for this project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from ishowtts.bench.sentences import HELD_OUT
from voice_training.texts import english, mandarin
from voice_training.texts.grammar import lines
from voice_training.texts.seeded_random import seeded_random

__all__ = ["MAX_CHARS", "Language", "held_out", "sentences"]

Language = Literal["en", "zh"]

MAX_CHARS = {"en": 320, "zh": 76}
"""Characters of the longest sentence, some twenty seconds of speech."""

_ROWS = (0.8, 0.13, 0.07)  # the shares of one, two and three sentences in a row
_SENTENCE: dict[Language, Callable[..., str]] = {"en": english.sentence, "zh": mandarin.sentence}


def sentences(language: Language, seed: int) -> Iterator[str]:
    """Without end, the same for the same seed: one to some sixty words, in the form that an engine is given.

    None is of those kept for judging, here or in the bench.
    """
    rng = seeded_random(f"sentences {language} {seed}")
    judged = {_letters_only(sentence) for sentence in (*lines(language, "held-out"), *HELD_OUT[language])}
    joint = {"en": " ", "zh": ""}[language]
    while True:
        count = rng.choices((1, 2, 3), _ROWS)[0]
        made = joint.join(_SENTENCE[language](rng) for _ in range(count))
        if len(made) <= MAX_CHARS[language] and _letters_only(made) not in judged:
            yield made


def held_out(language: Language, count: int) -> tuple[str, ...]:
    """The first `count` of the natural sentences that are kept for judging, written by hand.

    Raises:
        ValueError: there are not so many.
    """
    kept = lines(language, "held-out")
    if count > len(kept):
        raise ValueError(f"{count} sentences are asked for; {len(kept)} are kept for judging in {language!r}")
    return kept[:count]


def _letters_only(sentence: str) -> str:
    """Letters alone: another comma makes no other sentence."""
    return "".join(letter for letter in sentence.lower() if letter.isalnum())

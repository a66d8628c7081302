"""Sentences for training and for evaluation, all written for this project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from ishowtts_bench.sentences import HELD_OUT
from voice_training.texts import english, mandarin
from voice_training.texts.grammar import lines
from voice_training.texts.seeded_random import seeded_random

__all__ = ["MAX_CHARS", "Language", "held_out", "sentences"]

Language = Literal["en", "zh"]

MAX_CHARS = {"en": 320, "zh": 76}
"""Maximum length of a sentence in characters: about twenty seconds of speech."""

_COUNT_PROBABILITIES = (0.8, 0.13, 0.07)  # probabilities of one, two and three sentences in a row
_SENTENCE: dict[Language, Callable[..., str]] = {"en": english.sentence, "zh": mandarin.sentence}


def sentences(language: Language, seed: int) -> Iterator[str]:
    """Generate sentences endlessly, of one to about sixty words, in the form that engines get.

    The same seed gives the same sentences. None of them is held out for evaluation, here or in the bench.
    """
    rng = seeded_random(f"sentences {language} {seed}")
    excluded = {_letters_only(sentence) for sentence in (*lines(language, "held-out"), *HELD_OUT[language])}
    joint = {"en": " ", "zh": ""}[language]
    while True:
        count = rng.choices((1, 2, 3), _COUNT_PROBABILITIES)[0]
        made = joint.join(_SENTENCE[language](rng) for _ in range(count))
        if len(made) <= MAX_CHARS[language] and _letters_only(made) not in excluded:
            yield made


def held_out(language: Language, count: int) -> tuple[str, ...]:
    """The first `count` of the natural, hand-written sentences that are held out for evaluation.

    Raises:
        ValueError: there are fewer.
    """
    kept = lines(language, "held-out")
    if count > len(kept):
        raise ValueError(f"{count} sentences are requested; {len(kept)} are held out in {language!r}")
    return kept[:count]


def _letters_only(sentence: str) -> str:
    """Only letters and digits: sentences that differ in punctuation count as equal."""
    return "".join(letter for letter in sentence.lower() if letter.isalnum())

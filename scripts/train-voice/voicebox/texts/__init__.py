"""Texts to learn from and to be judged by, all written for this project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from ishowtts_bench.sentences import HELD_OUT
from voicebox.texts import english, mandarin
from voicebox.texts.chance import chance
from voicebox.texts.grammar import lines

__all__ = ["LONGEST", "Language", "held_out", "sentences"]

Language = Literal["en", "zh"]

LONGEST = {"en": 320, "zh": 76}
"""Characters of the longest sentence, some twenty seconds of speech."""

_ROWS = (0.8, 0.13, 0.07)  # the shares of one, two and three sentences in a row
_SENTENCE: dict[Language, Callable[..., str]] = {"en": english.sentence, "zh": mandarin.sentence}


def sentences(language: Language, seed: int) -> Iterator[str]:
    """Without end, the same for the same seed: one to some sixty words, in the form that an engine is given.

    None is of those kept for judging, here or in the bench.
    """
    draw = chance(f"sentences {language} {seed}")
    judged = {_bare(sentence) for sentence in (*lines(language, "held-out"), *HELD_OUT[language])}
    joint = {"en": " ", "zh": ""}[language]
    while True:
        count = draw.choices((1, 2, 3), _ROWS)[0]
        made = joint.join(_SENTENCE[language](draw) for _ in range(count))
        if len(made) <= LONGEST[language] and _bare(made) not in judged:
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


def _bare(sentence: str) -> str:
    """Letters alone: another comma makes no other sentence."""
    return "".join(letter for letter in sentence.lower() if letter.isalnum())

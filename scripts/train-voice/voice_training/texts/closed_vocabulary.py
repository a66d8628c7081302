"""A closed list of twenty words: what a very small model learns first, and what shows that it learns."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from itertools import islice

from voice_training.texts.seeded_random import seeded_random

WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("yes", "no", "stop", "start", "left", "right", "open", "close", "hello", "goodbye"),
)
MAX_WORDS = 5
_HELD_OUT_ONE_IN = 8  # of the sequences of two words and more, so many are kept for judging


def closed_sentences(seed: int) -> Iterator[str]:
    """Without end: one to five words in any order, such as "three, left open." Never a sequence kept for evaluation."""
    return _endless_sentences(seeded_random(f"closed {seed}"), held_out=False)


def closed_held_out(count: int) -> tuple[str, ...]:
    """`count` different sentences of two to five of the words; `closed_sentences` makes none of their sequences."""
    found = dict.fromkeys(
        islice(_endless_sentences(seeded_random("closed, to judge by"), held_out=True), 2 * count + 100)
    )
    return tuple(islice(found, count))


def is_held_out(words: tuple[str, ...]) -> bool:
    """Whether this order of words is kept for evaluation. A word alone never is: there are only twenty."""
    return len(words) > 1 and zlib.crc32(" ".join(words).encode()) % _HELD_OUT_ONE_IN == 0


def _endless_sentences(rng: random.Random, held_out: bool) -> Iterator[str]:
    while True:
        words = tuple(rng.choice(WORDS) for _ in range(rng.randint(1, MAX_WORDS)))
        groups = _groups(rng, words)
        if is_held_out(words) == held_out:
            yield ", ".join(" ".join(group) for group in groups) + "."


def _groups(rng: random.Random, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words in groups of one to three, as one says a row of digits: a listener needs the pauses, a model too."""
    groups: list[tuple[str, ...]] = []
    while words:
        size = rng.randint(1, 3)
        groups.append(words[:size])
        words = words[size:]
    return groups

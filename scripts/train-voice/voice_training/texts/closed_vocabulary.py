"""Sentences of a closed vocabulary of twenty words, from which a very small model can learn."""

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
_HELD_OUT_ONE_IN = 8  # one in this many sequences of two or more words is held out for evaluation


def closed_sentences(seed: int) -> Iterator[str]:
    """Generate sentences endlessly: one to five words, such as "three, left open." None of them is held out."""
    return _endless_sentences(seeded_random(f"closed {seed}"), held_out=False)


def closed_held_out(count: int) -> tuple[str, ...]:
    """`count` different held-out sentences of two to five words. `closed_sentences` never generates them."""
    found = dict.fromkeys(
        islice(_endless_sentences(seeded_random("closed, to judge by"), held_out=True), 2 * count + 100)
    )
    return tuple(islice(found, count))


def is_held_out(words: tuple[str, ...]) -> bool:
    """Whether this sequence of words is held out. A single word never is, because there are only twenty."""
    return len(words) > 1 and zlib.crc32(" ".join(words).encode()) % _HELD_OUT_ONE_IN == 0


def _endless_sentences(rng: random.Random, held_out: bool) -> Iterator[str]:
    while True:
        words = tuple(rng.choice(WORDS) for _ in range(rng.randint(1, MAX_WORDS)))
        groups = _groups(rng, words)
        if is_held_out(words) == held_out:
            yield ", ".join(" ".join(group) for group in groups) + "."


def _groups(rng: random.Random, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Split the words into groups of one to three, as people say digits. Listeners and models need the pauses."""
    groups: list[tuple[str, ...]] = []
    while words:
        size = rng.randint(1, 3)
        groups.append(words[:size])
        words = words[size:]
    return groups

"""Chance that repeats itself: the same name draws the same things on every machine."""

import random


def seeded_random(name: str) -> random.Random:
    """A generator of its own for each name; none of what it draws is a secret."""
    return random.Random(name)  # noqa: S311

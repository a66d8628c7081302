"""Random numbers that are equal on every machine."""

import random


def seeded_random(name: str) -> random.Random:
    """A generator that is seeded by a name. Not for secrets."""
    return random.Random(name)  # noqa: S311
